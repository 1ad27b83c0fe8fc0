"""Makes a Tableau extract of Parquet files, one table each: extract.py FOLDER FILE.hyper

Run by `cartlog report --hyper`, which has written the files. Prints the rows of each table as JSON.
"""

import json
import sys
from pathlib import Path

try:
    from tableauhyperapi import Connection, CreateMode, HyperProcess, TableName, Telemetry, escape_string_literal
except ImportError as error:
    sys.exit(f"MISSING {error}")

folder, target = map(Path, sys.argv[1:])
# Neither usage data nor a log file beside whoever runs this. Sums of money are 128-bit numbers, which extracts hold from version 3
# of their format on.
settings = {"log_config": "", "default_database_version": "3"}
with HyperProcess(Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters=settings) as hyper:
    with Connection(hyper.endpoint, target, CreateMode.CREATE_AND_REPLACE) as connection:
        connection.catalog.create_schema("Extract")
        rows = {}
        for file in sorted(folder.glob("*.parquet")):
            table = TableName("Extract", file.stem)
            source = f"external({escape_string_literal(str(file))}, FORMAT => 'parquet')"
            connection.execute_command(f"CREATE TABLE {table} AS SELECT * FROM {source}")
            rows[file.stem] = connection.execute_scalar_query(f"SELECT count(*) FROM {table}")
print(json.dumps(rows))
