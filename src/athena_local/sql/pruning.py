"""What a query's WHERE says of a Hive table's partition keys, asked before anything is listed.

DuckDB evaluates the conditions themselves, over the partitions' values, so whatever can be written (functions, casts, IN,
OR) prunes by the same rules as it filters. A value that is not of its key's type is HIVE_INVALID_PARTITION_VALUE.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from athena_local.engine.errors import raising
from athena_local.engine.hive import HIDDEN, NULL_PARTITION
from athena_local.engine.text import literal
from athena_local.sql.dialect import DuckDBText
from athena_local.sql.scope import Output, Relation, Scope
from athena_local.types import Column, quote

if TYPE_CHECKING:
    from athena_local.engine.hive import DataFile
    from athena_local.engine.session import Session
    from athena_local.sql.queries.dispatch import Queries

Record = dict[str, Any]
_OF_FILES = ("$path", "$file_modified_time", "$file_size")


class PartitionPredicate:
    """The conditions of one query on one table; `conjuncts` name nothing but its keys and hidden columns, unqualified."""

    def __init__(
        self, session: Session, queries: Queries, keys: list[Column], conjuncts: list[exp.Expression]
    ) -> None:
        self._session = session
        self._queries = queries
        self._keys = keys
        names = {key.name for key in keys}
        self._conjuncts = [item for item in conjuncts if _names(item) <= names]
        self._hidden = [item for item in conjuncts if _names(item) <= set(_OF_FILES)]

    def keep(self, partitions: list[Record]) -> list[Record]:
        if not self._conjuncts or not partitions:
            return partitions
        rows = [[str(value) for value in row["Values"]] for row in partitions]
        return [partitions[index] for index in self._matching(self._keys, rows, self._conjuncts)]

    def keep_files(self, files: list[DataFile]) -> list[DataFile]:
        """Return the files on which the conditions on `$path`, `$file_size` and `$file_modified_time` hold."""
        if not self._hidden or not files:
            return files
        rows = [
            [file.item.path, file.item.modified.strftime("%Y-%m-%d %H:%M:%S+00"), str(file.item.size)]
            for file in files
        ]
        columns = [Column(name, HIDDEN[name]) for name in _OF_FILES]
        return [files[index] for index in self._matching(columns, rows, self._hidden)]

    def column(self, key: Column, values: list[str]) -> list[str]:
        own = self._naming_only(key)
        if not own or not values:
            return values
        return [values[index] for index in self._matching([key], [[value] for value in values], own)]

    def equal_to(self, key: Column) -> list[str] | None:
        found: list[str] | None = None
        for conjunct in self._naming_only(key):
            constants = _constants(conjunct)
            if constants is None:
                continue
            values = [text for constant in constants if (text := self._text(constant, key)) is not None]
            found = values if found is None else [value for value in found if value in values]
        return found

    def _naming_only(self, key: Column) -> list[exp.Expression]:
        return [conjunct for conjunct in self._conjuncts if _names(conjunct) == {key.name}]

    def _matching(
        self, keys: Sequence[Column], rows: list[list[str]], conjuncts: list[exp.Expression]
    ) -> list[int]:
        scope = Scope([Relation("p", [Output(key.name, key.type, key.name) for key in keys])])
        conditions = [
            f"coalesce({self._queries.expressions.translate(item, scope).node.sql(dialect=DuckDBText)}, false)"
            for item in conjuncts
        ]
        texts = ", ".join(
            f"unnest(${index}::VARCHAR[]) AS {_raw(index)}" for index in range(1, len(keys) + 1)
        )
        typed = ", ".join(
            f"{partition_value(_raw(index), key)} AS {quote(key.name)}"
            for index, key in enumerate(keys, start=1)
        )
        sql = (
            f"SELECT i FROM (SELECT i, {typed} FROM (SELECT unnest(range({len(rows)})) AS i, {texts})) AS p"
            f" WHERE {' AND '.join(conditions)} ORDER BY i"
        )
        columns = [[row[index] for row in rows] for index in range(len(keys))]
        return [row[0] for row in self._session.execute(sql, columns).fetchall()]

    def _text(self, constant: exp.Expression, key: Column) -> str | None:
        value = self._queries.expressions.translate(constant, Scope()).node.sql(dialect=DuckDBText)
        sql = f"SELECT CAST(TRY_CAST({value} AS {key.type.duckdb()}) AS VARCHAR)"
        [(text,)] = self._session.execute(sql).fetchall()
        return None if text is None else str(text)


def _names(condition: exp.Expression) -> set[str]:
    return {column.name.lower() for column in condition.find_all(exp.Column)}


def _raw(index: int) -> str:
    return f"__value{index}"


def partition_value(text: str, key: Column) -> str:
    """Return the DuckDB expression of a key's value, given that of its text in the catalog."""
    kind = key.type.duckdb()
    if key.type.base in {"varchar", "char"}:
        return f"nullif({text}, {literal(NULL_PARTITION)})"
    wrong = f"Invalid partition value '@@' for {key.type.trino().upper()} partition key: {key.name}"
    message = literal(raising("HIVE_INVALID_PARTITION_VALUE", wrong)).replace("@@", f"' || {text} || '")
    return (
        f"CASE WHEN {text} = {literal(NULL_PARTITION)} THEN NULL"
        f" WHEN TRY_CAST({text} AS {kind}) IS NULL THEN error({message}) ELSE TRY_CAST({text} AS {kind}) END"
    )


def _constants(condition: Any) -> list[exp.Expression] | None:
    """Return the constants that a condition on one column lets it equal; None for any other condition."""
    if isinstance(condition, exp.Paren):
        return _constants(condition.this)
    if isinstance(condition, exp.Or):
        left, right = _constants(condition.left), _constants(condition.right)
        return None if left is None or right is None else left + right
    if isinstance(condition, exp.And):
        left, right = _constants(condition.left), _constants(condition.right)
        return left if left is not None else right
    if isinstance(condition, exp.EQ):
        for one, other in ((condition.left, condition.right), (condition.right, condition.left)):
            if isinstance(one, exp.Column) and other.find(exp.Column) is None:
                constant: Any = other
                return [constant]
        return None
    if isinstance(condition, exp.In) and isinstance(condition.this, exp.Column) and condition.expressions:
        items: list[exp.Expression] = condition.expressions
        return None if any(item.find(exp.Column) for item in items) else items
    return None


def own_conjuncts(conjuncts: list[exp.Expression], alias: str, names: set[str]) -> list[exp.Expression]:
    """Return the conditions on this relation's named columns alone, without qualifiers."""
    found = []
    for conjunct in (part for whole in conjuncts for part in _parts(whole)):
        if conjunct.find(exp.Query, exp.Lambda, exp.AggFunc):
            continue
        columns = list(conjunct.find_all(exp.Column))
        if not columns:
            continue
        if all(
            column.name.lower() in names
            and (not column.table or (column.table.lower() == alias.lower() and not column.db))
            for column in columns
        ):
            copy = conjunct.copy()
            for column in copy.find_all(exp.Column):
                column.set("table", None)
            found.append(copy)
    return found


def _parts(condition: Any) -> Iterator[exp.Expression]:
    """Yield what must all be true, also where parentheses are around it."""
    inner = condition.unnest()
    if isinstance(inner, exp.And):
        yield from _parts(inner.left)
        yield from _parts(inner.right)
    else:
        yield condition
