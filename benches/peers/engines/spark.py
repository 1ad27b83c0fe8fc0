"""Spark in one process with two threads, over its columnar cache in memory of a Parquet file.

The definitions are translated as spark/analyze.py does it. An answer is complete when its last row has gone to Spark's
own sink that drops them: bringing a million rows into Python would be measured otherwise.
"""

import os
import sys

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from pyspark.sql import SparkSession

from .base import ROOT, THREADS, Engine

sys.path.insert(0, str(ROOT / "spark"))
from dialect import translate  # noqa: E402

TYPES = {
    "event_time": pa.timestamp("us"), "event_type": pa.string(), "product_id": pa.int32(),
    "category_id": pa.int64(), "category_code": pa.string(), "brand": pa.string(), "price": pa.decimal128(9, 2),
    "user_id": pa.int32(), "user_session": pa.string(),
}
SETTINGS = {
    "spark.driver.memory": "8g", "spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.sql.session.timeZone": "UTC",
    # As many tasks after a shuffle as keep two threads evenly busy.
    "spark.sql.shuffle.partitions": "8", "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1",
    "spark.log.level": "ERROR", "spark.driver.maxResultSize": "4g",
}


class Spark(Engine):
    def load(self):
        convert = pa.csv.ConvertOptions(
            column_types=TYPES, null_values=[""], strings_can_be_null=True, timestamp_parsers=["%Y-%m-%d %H:%M:%S UTC"]
        )
        rows = pa.csv.open_csv(self.file, convert_options=convert)
        # A time without a zone would be of another type.
        schema = pa.schema(TYPES | {"event_time": pa.timestamp("us", "UTC")})
        with pa.parquet.ParquetWriter(self.folder / "events.parquet", schema, store_decimal_as_integer=True) as file:
            for batch in rows:
                file.write_batch(batch.cast(schema))

    def open(self):
        # Spark's words on standard output would be between ours.
        os.environ["PYSPARK_PYTHON"] = sys.executable
        builder = SparkSession.builder.master(f"local[{THREADS}]").appName("cartlog peers")
        for name, value in SETTINGS.items():
            builder = builder.config(name, value)
        self.spark = builder.getOrCreate()
        self.spark.read.parquet(str(self.folder / "events.parquet")).createOrReplaceTempView("events")
        self.spark.sql("CACHE TABLE events")
        self.spark.sql("SELECT *, unix_seconds(event_time) AS epoch_seconds FROM events").createOrReplaceTempView(
            "events_with_epoch")
        return self.spark.version

    def sql(self, name):
        return translate(super().sql(name))

    def ways(self, name):
        return [lambda: self.spark.sql(self.sql(name)).write.format("noop").mode("overwrite").save()]

    def table(self, name):
        return self.spark.sql(self.sql(name)).toArrow()
