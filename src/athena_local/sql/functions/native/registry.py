"""How a Python function becomes one of DuckDB's: rows in, rows out, a batch of Arrow arrays at a time."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from athena_local.engine.errors import raising

_ZONED = pa.struct([("instant", pa.timestamp("us", tz="UTC")), ("zone", pa.string())])
_TYPES: dict[str, pa.DataType] = {
    "VARCHAR": pa.string(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "BLOB": pa.binary(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us"),
    "TIMESTAMPTZ": pa.timestamp("us", tz="UTC"),
    "VARCHAR[]": pa.list_(pa.string()),
    "DOUBLE[]": pa.list_(pa.float64()),
    "MAP(VARCHAR, VARCHAR)": pa.map_(pa.string(), pa.string()),
    "MAP(VARCHAR, VARCHAR[])": pa.map_(pa.string(), pa.list_(pa.string())),
    "MAP(DOUBLE, DOUBLE)": pa.map_(pa.float64(), pa.float64()),
    'STRUCT("instant" TIMESTAMPTZ, "zone" VARCHAR)': _ZONED,
}


@dataclass(frozen=True)
class NativeFunction:
    name: str
    function: Callable[..., Any]
    parameters: list[str]
    returns: str
    nulls: bool  # called with None too

    def register(self, connection: Any) -> None:
        def run(*columns: Any) -> Any:
            return self._run(*columns)

        names = [f"a{index}" for index in range(len(self.parameters))]  # DuckDB counts what a function takes
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in names]
        )
        connection.create_function(
            self.name, run, self.parameters, self.returns, type="arrow", null_handling="special"
        )

    def _run(self, *columns: Any) -> Any:
        rows = zip(*(column.to_pylist() for column in columns), strict=True)
        if self.nulls:
            values = [self.function(*row) for row in rows]
        else:
            values = [None if None in row else self.function(*row) for row in rows]
        kind = _TYPES.get(self.returns)
        return pa.array(values, kind if kind is not None else pa.null())


class InvalidError(ValueError):
    """An argument's value that Trino refuses; the text carries the error's code to `engine/errors.py`."""

    def __init__(self, text: str, code: str = "INVALID_FUNCTION_ARGUMENT") -> None:
        super().__init__(raising(code, text))


FUNCTIONS: dict[str, NativeFunction] = {}


def native(
    returns: str, *parameters: str, nulls: bool = False, name: str | None = None
) -> Callable[[Callable[..., Any]], Any]:
    """Register the function as `trino_<its name>`, with DuckDB's types."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        full = f"trino_{name or function.__name__.rstrip('_')}"
        FUNCTIONS[full] = NativeFunction(full, function, list(parameters), returns, nulls)
        return function

    return add
