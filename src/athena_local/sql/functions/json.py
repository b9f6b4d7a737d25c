"""JSON functions. Text that is no JSON extracts as NULL; a path that is none of Trino's is refused."""

from __future__ import annotations

import re
from collections.abc import Callable

from athena_local.errors import QueryError
from athena_local.sql.functions.signatures import Call, Function, scalar, table
from athena_local.sql.scope import position_of

_STEP = re.compile(
    r"""\.(?P<name>[^.\[\]"'*\s]+)|\[(?P<index>\d+)\]|\[(?P<bare>[A-Za-z_][\w]*)\]|\["(?P<quoted>(?:[^"\\]|\\.)*)"\]|\.(?P<key>"(?:[^"\\]|\\.)*")"""
)


def duckdb_path(path: str) -> str | None:
    """Return DuckDB's spelling of a path of json_extract's; None when it is none."""
    if not path.startswith("$"):
        path = f"$.{path}" if path and path[0] not in ".[" else f"${path}"
    place, pieces = 1, ["$"]
    while place < len(path):
        step = _STEP.match(path, place)
        if step is None:
            return None
        if step["index"]:
            pieces.append(f"[{step['index']}]")
        else:
            name = step["name"] or step["bare"] or step["quoted"]
            if name is None:
                name = step["key"][1:-1]
            pieces.append('."' + name.replace('\\"', '"').replace('"', '\\"') + '"')
        place = step.end()
    return "".join(pieces)


def _path(call: Call) -> str:
    written = call.text(1)
    if written is None:
        return "{1}"
    found = duckdb_path(written)
    if found is None:
        where = position_of(call.sources[1])
        raise QueryError("INVALID_FUNCTION_ARGUMENT", f"Invalid JSON path: '{written}'", position=where)
    return "'" + found.replace("'", "''").replace("{", "{{").replace("}", "}}") + "'"


def _with_path(template: str) -> Callable[[Call], str]:
    return lambda call: template.replace("{path}", _path(call))


_EXTRACT = _with_path("CASE WHEN json_valid({0}) THEN json_extract({0}, {path}) END")
_SCALAR = _with_path(
    "CASE WHEN NOT json_valid({0}) THEN NULL"
    " WHEN json_type({0}, {path}) NOT IN ('OBJECT', 'ARRAY') THEN json_extract_string({0}, {path}) END"
)
_SIZE = _with_path(
    "CASE WHEN NOT json_valid({0}) OR json_type({0}, {path}) IS NULL THEN NULL"
    " WHEN json_type({0}, {path}) = 'OBJECT' THEN CAST(len(json_keys({0}, {path})) AS BIGINT)"
    " WHEN json_type({0}, {path}) = 'ARRAY' THEN CAST(json_array_length({0}, {path}) AS BIGINT) ELSE 0 END"
)
_LENGTH = (
    "CASE WHEN json_valid({0}) AND json_type({0}) = 'ARRAY' THEN CAST(json_array_length({0}) AS BIGINT) END"
)
_HAS = "trino_json_array_contains(CAST({0} AS VARCHAR), CAST({1} AS VARCHAR), '{kind}')"


def _contains(kind: str, argument: str) -> tuple[str, str, str, str]:
    text = _HAS.replace("{kind}", kind)
    return f"varchar(x), {argument} -> boolean", text, f"json, {argument} -> boolean", text


FUNCTIONS: dict[str, Function] = table(
    {
        "json_parse": scalar("varchar(x) -> json", "CAST(trino_json_parse({0}) AS JSON)"),
        "json_format": scalar("json -> varchar", "CAST({0} AS VARCHAR)"),
        "json_extract": scalar("varchar(x), JsonPath -> json", _EXTRACT, "json, JsonPath -> json", _EXTRACT),
        "json_extract_scalar": scalar(
            "varchar(x), JsonPath -> varchar(x)", _SCALAR, "json, JsonPath -> varchar", _SCALAR
        ),
        "json_array_length": scalar("varchar(x) -> bigint", _LENGTH, "json -> bigint", _LENGTH),
        "json_array_get": scalar(
            "varchar(x), bigint -> json",
            "trino_json_array_element({0}, {1})::JSON",
            "json, bigint -> json",
            "trino_json_array_element(CAST({0} AS VARCHAR), {1})::JSON",
        ),
        "json_array_contains": scalar(
            *_contains("boolean", "boolean"),
            *_contains("bigint", "bigint"),
            *_contains("double", "double"),
            *_contains("varchar", "varchar(y)"),
        ),
        "json_size": scalar("varchar(x), JsonPath -> bigint", _SIZE, "json, JsonPath -> bigint", _SIZE),
        "is_json_scalar": scalar(
            "varchar(x) -> boolean",
            "(json_type(CAST(trino_json_parse({0}) AS JSON)) NOT IN ('OBJECT', 'ARRAY'))",
            "json -> boolean",
            "(json_type({0}) NOT IN ('OBJECT', 'ARRAY'))",
        ),
    }
)
