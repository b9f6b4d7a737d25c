"""JSON functions. Text that is no JSON extracts as NULL."""

from __future__ import annotations

from athena_local.sql.functions.signatures import JSON, Function, scalar
from athena_local.types import (
    BIGINT,
    BOOLEAN,
    VARCHAR,
)

FUNCTIONS: dict[str, Function] = {
    "json_parse": scalar("CAST({0} AS JSON)", JSON),
    "json_format": scalar("CAST({0} AS VARCHAR)", VARCHAR),
    "json_extract": scalar("CASE WHEN json_valid({0}) THEN json_extract({0}, {1}) END", JSON, 2),
    "json_extract_scalar": scalar(
        "CASE WHEN NOT json_valid({0}) THEN NULL"
        " WHEN json_type({0}, {1}) NOT IN ('OBJECT', 'ARRAY') THEN json_extract_string({0}, {1}) END",
        VARCHAR,
        2,
    ),
    "json_array_length": scalar("CAST(json_array_length({0}) AS BIGINT)", BIGINT),
    "json_size": scalar("CAST(len(json_keys({0}, {1})) AS BIGINT)", BIGINT, 2),
    "is_json_scalar": scalar("(json_type({0}) NOT IN ('OBJECT', 'ARRAY'))", BOOLEAN),
}
