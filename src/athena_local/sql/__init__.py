"""Athena SQL: parsed, resolved against the catalog, and translated to DuckDB's. Text is never passed through."""

from athena_local.sql.parse import parse_statement
from athena_local.sql.statements import Statement

__all__ = ["Statement", "parse_statement"]
