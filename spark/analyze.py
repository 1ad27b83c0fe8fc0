"""cartlog's analyses on Apache Spark, for data beyond one machine.

    spark-submit spark/analyze.py --input EVENTS --analysis top_categories --output RESULTS

reads Parquet as `cartlog export --format parquet` writes it (files, or a folder partitioned by day) and
writes each result to RESULTS/NAME, with the names, columns, types, values and order of rows that
`cartlog analyze` gives. README.md beside this file has the details.
"""

import argparse
import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

from definitions import DefinitionError, definitions
from dialect import DialectError, translate

EVENTS = {
    "event_time": "TIMESTAMP",
    "event_type": "STRING",
    "product_id": "BIGINT",
    "category_id": "BIGINT",
    "category_code": "STRING",
    "brand": "STRING",
    "price": "DECIMAL(18,4)",
    "user_id": "BIGINT",
    "user_session": "STRING",
}
# Seconds are the nearest ones, and of two the even one, as the definition of `epoch_seconds` says.
EPOCH_SECONDS = "CAST(rint(unix_millis(event_time) / 1000) AS BIGINT)"


class InputError(ValueError):
    """Files that don't hold events."""


def typed():
    parser = argparse.ArgumentParser(prog="analyze.py", description=__doc__.splitlines()[0])
    option = parser.add_argument
    option("--input", nargs="+", required=True, metavar="PATH", help="Parquet files or folders, wherever Spark can read")
    option("--analysis", nargs="+", action="extend", default=[], metavar="NAME", help="analyses [default: all]")
    option("--output", required=True, metavar="DIR", help="folder for the results, DIR/NAME each; those there are replaced")
    option("--format", default="parquet", choices=["parquet", "csv"], help="format of the results [default: parquet]")
    option("--where", metavar="SQL", help="only events for which this condition of the definitions' dialect holds")
    option("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter: limit=25, or bands=0,10,100")
    option("--files", type=int, metavar="N", help="at most so many files a result; 1 makes one file of each")
    return parser.parse_args()


def open_events(spark, paths, condition):
    """Makes the views that the definitions read."""
    rows = spark.read.parquet(*paths)
    absent = [name for name in EVENTS if name not in rows.columns]
    if absent:
        raise InputError(f"{' '.join(paths)}: no column {', '.join(absent)}; expected what `cartlog export` writes")
    if condition:
        rows = rows.where(translate(condition))
    events = rows.select(*(f.col(name).cast(kind).alias(name) for name, kind in EVENTS.items()))
    events.createOrReplaceTempView("events")
    events.withColumn("epoch_seconds", f.expr(EPOCH_SECONDS)).createOrReplaceTempView("events_with_epoch")


def answer(spark, definition):
    """The result of one analysis, in the types that it is declared with."""
    rows = spark.sql(definition.query())
    return rows.select(*(f.col(name).cast(kind).alias(name) for name, kind in definition.columns.items()))


def write(rows, path, file_format, files):
    """Writes the rows in their order: the part files follow each other by name."""
    if files:
        rows = rows.coalesce(files)
    writer = rows.write.mode("overwrite")
    if file_format == "csv":
        writer.csv(path, header=True, emptyValue='""', escape='"')
    else:
        writer.parquet(path)


def run(options):
    chosen = definitions(options.analysis, options.set)
    # Times without a zone are UTC, and what overflows or divides by zero is an error rather than a missing value.
    spark = (
        SparkSession.builder.appName("cartlog analyses")
        .config("spark.sql.session.timeZone", "UTC").config("spark.sql.ansi.enabled", "true").getOrCreate()
    )
    try:
        open_events(spark, options.input, options.where)
        for definition in chosen:
            path = f"{options.output.rstrip('/')}/{definition.name}"
            write(answer(spark, definition), path, options.format, options.files)
            print(f"{definition.name}: {path}", flush=True)
    finally:
        spark.stop()


if __name__ == "__main__":
    try:
        run(typed())
    except (DefinitionError, DialectError, InputError) as error:
        sys.exit(f"error: {error}")
