"""cartlog's analyses on Apache Spark, for data beyond one machine.

    spark-submit spark/analyze.py --input EVENTS --analysis top_categories --output RESULTS

reads Parquet as `cartlog export --format parquet` writes it (files, or a folder partitioned by day), or with
--topic the log itself, and writes each result to RESULTS/NAME, with the names, columns, types, values and order of
rows that `cartlog analyze` gives. README.md beside this file has the details.
"""

import argparse
import datetime
import decimal
import json
import os
import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

from definitions import DefinitionError, definitions
from dialect import DialectError, translate
from topic import open_topic

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
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--input", nargs="+", metavar="PATH", help="Parquet files or folders, wherever Spark can read")
    source.add_argument("--topic", metavar="NAME", help="the log itself; needs Spark's Kafka source (see README.md)")
    option("--brokers", metavar="HOST:PORT,…", help="the brokers of --topic")
    option("--kafka", action="append", default=[], metavar="NAME=VALUE",
           help="an option of Spark's Kafka source, such as minPartitions=64 or kafka.security.protocol=SASL_SSL")
    option("--analysis", nargs="+", action="extend", default=[], metavar="NAME", help="analyses [default: all]")
    result = parser.add_mutually_exclusive_group(required=True)
    result.add_argument("--output", metavar="DIR", help="folder for the results, DIR/NAME each; those there are replaced")
    result.add_argument("--collect", metavar="DIR", help="folder on this machine for the results, DIR/NAME.jsonl each: rows as arrays of texts")
    option("--format", default="parquet", choices=["parquet", "csv"], help="format of the results [default: parquet]")
    option("--where", metavar="SQL", help="only events for which this condition of the definitions' dialect holds")
    option("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter: limit=25, or bands=0,10,100")
    option("--files", type=int, metavar="N", help="at most so many files a result; 1 makes one file of each")
    options = parser.parse_args()
    if bool(options.topic) != bool(options.brokers):
        parser.error("--topic and --brokers go together")
    if wrong := [pair for pair in options.kafka if "=" not in pair]:
        parser.error(f"--kafka is {wrong[0]!r}; it takes NAME=VALUE")
    return options


def open_files(spark, paths):
    """The rows of Parquet files."""
    rows = spark.read.parquet(*paths)
    absent = [name for name in EVENTS if name not in rows.columns]
    if absent:
        raise InputError(f"{' '.join(paths)}: no column {', '.join(absent)}; expected what `cartlog export` writes")
    return rows


def open_log(spark, options):
    """The events of a topic; tells how many of its rows are none."""
    settings = dict(pair.split("=", 1) for pair in options.kafka)
    rows = open_topic(spark, options.brokers, options.topic, settings)
    counted = {row["fate"]: row["count"] for row in rows.groupBy("fate").count().collect()}
    counts = {f"rows_{fate}": counted.get(fate, 0) for fate in ["stored", "rejected", "duplicate"]}
    print(json.dumps({"rows_read": sum(counts.values())} | counts), flush=True)
    return rows.where("fate = 'stored'").drop("fate")


def make_views(rows, condition):
    """Makes the views that the definitions read."""
    if condition:
        rows = rows.where(translate(condition))
    events = rows.select(*(f.col(name).cast(kind).alias(name) for name, kind in EVENTS.items()))
    events.createOrReplaceTempView("events")
    events.withColumn("epoch_seconds", f.expr(EPOCH_SECONDS)).createOrReplaceTempView("events_with_epoch")


def answer(spark, definition):
    """The result of one analysis, in the types that it is declared with."""
    rows = spark.sql(definition.query())
    return rows.select(*(f.col(name).cast(kind).alias(name) for name, kind in definition.columns.items()))


def collect(rows, path, start):
    """Writes the rows to a file here: a line with the seconds since `start`, then an array of texts a line.

    The rows come by way of the driver, part by part and in their order. The seconds are known at the end, and the
    line that has them keeps its place at the start.
    """
    with open(path, "w", encoding="utf-8") as file:
        file.write(head(0))
        for row in rows.toLocalIterator():
            file.write(json.dumps([text(value) for value in row], ensure_ascii=False) + "\n")
        file.seek(0)
        file.write(head(time.monotonic() - start))


def head(seconds):
    return json.dumps({"seconds": round(seconds, 3)}).ljust(40) + "\n"


def text(value):
    """A value as text from which it is read back as it is."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, datetime.date):
        return value.isoformat()
    return repr(value)


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
        make_views(open_log(spark, options) if options.topic else open_files(spark, options.input), options.where)
        for definition in chosen:
            if options.collect:
                start = time.monotonic()
                collect(answer(spark, definition), os.path.join(options.collect, f"{definition.name}.jsonl"), start)
                continue
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
