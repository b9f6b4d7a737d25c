"""Athena SQL: parsed, resolved against the catalog, and translated to DuckDB's. Text is never passed through."""
