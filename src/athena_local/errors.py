"""Every error a query can end in, as Athena words and numbers it.

A statement either succeeds or raises `QueryError`; whatever else escapes is a defect of ours and is reported as
GENERIC_INTERNAL_ERROR, never as a made-up user error. `position` is one-based line and column of the *submitted* text.
The message format follows what Athena puts in StateChangeReason: `CODE: line L:C: text`.
ErrorCategory (1 system, 2 user, 3 other) and ErrorType numbers: https://docs.aws.amazon.com/athena/latest/ug/error-reference.html
"""

from __future__ import annotations

SYSTEM, USER, OTHER = 1, 2, 3

# code -> AthenaError.ErrorType, as Athena answered them. Codes that are not listed answer with GENERIC_USER_ERROR_TYPE.
ERROR_TYPES: dict[str, int] = {
    "CATALOG_NOT_FOUND": 1006,
    "COLUMN_NOT_FOUND": 1006,
    "DIVISION_BY_ZERO": 1001,
    "FUNCTION_NOT_FOUND": 1303,
    "GENERIC_INTERNAL_ERROR": 100,
    "HIVE_BAD_DATA": 1003,
    "HIVE_CURSOR_ERROR": 1003,
    "ICEBERG_COMMIT_ERROR": 233,
    "INVALID_CAST_ARGUMENT": 1100,
    "INVALID_FUNCTION_ARGUMENT": 1106,
    "NOT_FOUND": 1300,
    "NOT_SUPPORTED": 1200,
    "SCHEMA_NOT_FOUND": 1301,
    "SYNTAX_ERROR": 1006,
    "TABLE_ALREADY_EXISTS": 1110,
    "TABLE_NOT_FOUND": 1301,
    "TYPE_MISMATCH": 1002,
}
GENERIC_USER_ERROR_TYPE = 1000


class QueryError(Exception):
    """A query ends FAILED with this. `str()` is the StateChangeReason.

    Athena's own checks before the engine (DDL of Iceberg tables) have no code: theirs is "", the reason is the text alone.
    """

    def __init__(
        self,
        code: str,
        text: str,
        *,
        position: tuple[int, int] | None = None,
        category: int = USER,
        retryable: bool = False,
        error_type: int | None = None,
    ) -> None:
        self.code = code
        self.text = text
        self.position = position
        self.category = category
        self.retryable = retryable
        where = f"line {position[0]}:{position[1]}: " if position else ""
        self._error_type = error_type
        super().__init__(f"{code}: {where}{text}" if code else f"{where}{text}")

    @property
    def error_type(self) -> int:
        """AthenaError.ErrorType: the one given, else its code's."""
        return self._error_type or ERROR_TYPES.get(self.code, GENERIC_USER_ERROR_TYPE)


class QueryCancelledError(Exception):
    """StopQueryExecution reached a running statement; the query ends CANCELLED."""
