"""Runs translated SQL: one DuckDB a query, the only door to S3, and how Hive tables' files are read."""
