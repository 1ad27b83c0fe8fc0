"""DataFusion, over record batches in memory: texts and sessions as string views, which its grouping is made for, prices as
64-bit decimals.
"""

import datafusion
import pyarrow as pa
import pyarrow.csv
from datafusion import SessionConfig, SessionContext

from .base import THREADS, Engine

TYPES = {
    "event_time": pa.timestamp("s"), "event_type": pa.string(), "product_id": pa.int32(), "category_id": pa.int64(),
    "category_code": pa.string(), "brand": pa.string(), "price": pa.decimal128(18, 2), "user_id": pa.int32(),
    "user_session": pa.string(),
}
BATCH_ROWS = 8192


class DataFusion(Engine):
    REWRITES = [
        # There is no percentile_disc: the value at that place of all, sorted.
        (r"percentile_disc\(([^)]*)\) WITHIN GROUP \(ORDER BY (\w+)\)",
         r"array_element(array_sort(array_agg(\2)), CAST(ceil(\1 * count(\2)) AS BIGINT))"),
        # The average of a decimal is a decimal, rounded after six digits.
        (r"\bavg\((\w+)\)", r"(CAST(sum(\1) AS DOUBLE) / count(\1))"),
        (r"\bisodow\(", "date_part('isodow', "),
        (r"\bhour\(", "date_part('hour', "),
        (r"datediff\('day', ([\w.]+), ([\w.]+)\)", r"(\2 - \1)"),
        # Of a 64-bit decimal and a whole number it makes a whole number.
        (r", 0\)( +AS revenue)", r", arrow_cast(0, 'Decimal64(18, 2)'))\1"),
        # The quotient of whole numbers is a whole number, and that of decimals is rounded.
        (r"/ nullif\(", "* CAST(1 AS DOUBLE) / nullif("),
    ]

    def load(self):
        convert = pa.csv.ConvertOptions(
            column_types=TYPES, null_values=[""], strings_can_be_null=True, timestamp_parsers=["%Y-%m-%d %H:%M:%S UTC"]
        )
        rows = pa.csv.open_csv(self.file, convert_options=convert)
        with pa.ipc.new_file(self.folder / "events.arrow", rows.schema) as file:
            for batch in rows:
                file.write_batch(batch)

    def open(self):
        best = {pa.string(): pa.string_view(), pa.decimal128(18, 2): pa.decimal64(18, 2)}
        schema = pa.schema([(name, best.get(kind, kind)) for name, kind in TYPES.items()])
        rows = pa.ipc.open_file(self.folder / "events.arrow").read_all().cast(schema)
        batches = rows.combine_chunks().to_batches(max_chunksize=BATCH_ROWS)
        half = len(batches) // THREADS
        config = SessionConfig().with_target_partitions(THREADS)
        self.context = SessionContext(config)
        self.context.register_record_batches("events", [batches[:half], batches[half:]])
        self.context.sql("CREATE VIEW events_with_epoch AS SELECT *, to_unixtime(event_time) AS epoch_seconds FROM events")
        return datafusion.__version__

    def ways(self, name):
        return [lambda: self.context.sql(self.sql(name)).collect()]

    def table(self, name):
        return self.context.sql(self.sql(name)).to_arrow_table()
