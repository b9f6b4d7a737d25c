"""One column of a batch as Postgres will hold it: the one entry to the conversions of values.py and nested.py."""

from __future__ import annotations

import pyarrow as pa

from penstock.sync.columns import Column
from penstock.sync.nested import array_values, json_values, vector_values
from penstock.sync.values import Values, scalar


def convert(column: Column, array: pa.Array) -> Values:
    """Return the column's values as Postgres will hold them; raises ValueRefusedError naming column and value."""
    if column.type.array:
        return array_values(column, array)
    if column.type.kind == "vector":
        return vector_values(column, array)
    if column.type.kind == "jsonb":
        return json_values(column, array)
    return scalar(column, array)
