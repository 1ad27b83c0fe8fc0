//! Exports: tables and events as CSV, ORC, Parquet, Arrow and JSON files.
