"""The engines beside cartlog: one file each, one line here. Every file has a class of what `base.Engine` says."""

from importlib import import_module

# Name in tables, module, class.
ENGINES = {
    "DuckDB": ("duck", "Own"),
    "DuckDB, Parquet": ("duck", "Parquet"),
    "Polars": ("polar", "Polars"),
    "ClickHouse": ("click", "ClickHouse"),
    "DataFusion": ("fusion", "DataFusion"),
    "Spark": ("spark", "Spark"),
}


def engine(name):
    """The class of an engine; only then is the engine itself imported."""
    module, kind = ENGINES[name]
    return getattr(import_module(f"engines.{module}"), kind)
