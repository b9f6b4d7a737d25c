"""A column's expression (`meta.sync.columns.<name>.expression`): Postgres's SQL, computed on the client by DuckDB.

The values an expression yields are those Postgres would compute, so that delta, COPY and checksum go on as with any
column. To be sure of that the language is small and typed as Postgres types it; whatever is not in it, or would mean
something else in DuckDB, is refused by name before a row is read:

- `cast(x as t)`, `x::t`, `coalesce`, `nullif`, `case`, `concat`, `||`, `upper`, `lower`, `trim`, `ltrim`, `rtrim`,
  `substring`, `replace`, `round`, `abs`, `+ - * / %`, comparisons, `between`, `in`, `is [not] null`,
  `is [not] distinct from`, `and`, `or`, `not`, `date_trunc`, `extract`;
- of boolean, integer, bigint, decimal(p,s), real, double precision, text, varchar(n), date, timestamp, timestamptz (UTC).

Refused: comparing text by order (it depends on the database's collation), dividing decimals (Postgres chooses the
scale), a text literal where another type is meant (write `date '2025-01-01'` or cast it), a real or double as text.
`upper` and `lower` are those of Postgres's C.UTF-8.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from penstock.errors import ValueRefusedError
from penstock.sync.columns import Column, SqlType, parse_declared

if TYPE_CHECKING:
    import pyarrow as pa

INT4, INT8, BOOL, TEXT = SqlType("int4"), SqlType("int8"), SqlType("bool"), SqlType("text")
FLOAT4, FLOAT8, DATE = SqlType("float4"), SqlType("float8"), SqlType("date")
TIMESTAMP, TIMESTAMPTZ = SqlType("timestamp"), SqlType("timestamptz")
_KINDS = ("bool", "int4", "int8", "numeric", "float4", "float8", "text", "date", "timestamp", "timestamptz")
_DIGITS = {"int4": 10, "int8": 19}
_WIDEST = 38  # digits of DuckDB's decimals
_NARROW = 18  # digits of those it keeps in 64 bits
_DUCKDB = {
    "bool": "BOOLEAN",
    "int4": "INTEGER",
    "int8": "BIGINT",
    "float4": "FLOAT",
    "float8": "DOUBLE",
    "text": "VARCHAR",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMPTZ",
}
_LAKE = {  # the lake type whose conversions a result of the kind goes through
    "bool": "boolean",
    "int4": "int",
    "int8": "long",
    "numeric": "decimal",
    "float4": "float",
    "float8": "double",
    "text": "string",
    "date": "date",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
}
_SPACE = r"[ \t\n\r\f\v]*"
_NUMBER = _SPACE + r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)"
_ISO_DAY = r"([0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)-[0-9]{2}-[0-9]{2}"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
_TRUE = ("t", "tr", "tru", "true", "y", "ye", "yes", "on", "1")
_FALSE = ("f", "fa", "fal", "fals", "false", "n", "no", "of", "off", "0")
_TRUNC = ("year", "quarter", "month", "week", "day", "hour", "minute", "second")
_DAY_PARTS = ("year", "quarter", "month", "week", "day", "dow", "doy", "isodow", "isoyear")
_TIME_PARTS = (*_DAY_PARTS, "hour", "minute")


@dataclass(frozen=True)
class Term:
    """A part of an expression: DuckDB's SQL and Postgres's type; None: a bare NULL, which takes any type.

    `loose`: a decimal whose values may differ in scale in Postgres, which only its text would show.
    """

    sql: str
    type: SqlType | None
    loose: bool = False


def compile_expression(text: str, inputs: Mapping[str, Column]) -> tuple[Term, tuple[Column, ...]]:
    """Return an expression over lake columns and the columns it reads; raises ValueError saying what is refused."""
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(text, read="postgres")
    except SqlglotError as error:
        raise ValueError(f"'{text}' is no SQL expression: {str(error).splitlines()[0]}") from None
    compiler = _Compiler(inputs)
    term = compiler.term(tree)
    return Term(term.sql, term.type or TEXT), tuple(compiler.used.values())


def lake_type_of(kind: SqlType) -> Any:
    """Return the Iceberg type (JSON) that a result of the type is converted from."""
    return f"decimal({kind.precision},{kind.scale})" if kind.kind == "numeric" else _LAKE[kind.kind]


def evaluate(columns: Sequence[Column], arrays: Mapping[int, pa.Array]) -> dict[str, pa.Array]:
    """Return the values of the columns that have an expression, from their inputs' arrays by field id.

    Raises: ValueRefusedError with the first row that an expression cannot compute (a division by zero, text that is no
    number), and why.
    """
    import duckdb
    import pyarrow as pa

    wanted = [column for column in columns if column.expression]
    found = {}
    for column in wanted:
        words = _of_words(column, arrays)
        if words is not None:
            found[column.name] = words
    rest = [column for column in wanted if column.name not in found]
    if rest:
        inputs = {source.field_id: arrays[source.field_id] for column in rest for source in column.inputs}
        rows = len(next(iter(arrays.values())))
        table = pa.table(
            {f"c{number}": array for number, array in inputs.items()} | {"n": pa.array(range(rows))}
        )
        names = ", ".join(f"{column.computed} as v{i}" for i, column in enumerate(rest))
        try:
            made = _query(f"select {names} from batch", table)
        except duckdb.Error:
            _refuse(rest, table)
            raise
        found |= {
            column.name: _one(made.column(i)).cast(result_type(column)) for i, column in enumerate(rest)
        }
    return found


def _of_words(column: Column, arrays: Mapping[int, pa.Array]) -> pa.Array | None:
    """Return the values of an expression over one text column, computed once a word instead of once a row.

    None where that is no gain, or where some word cannot be computed: no row may have it.
    """
    import duckdb
    import pyarrow as pa

    array = arrays[column.inputs[0].field_id]
    if (
        len(column.inputs) > 1
        or not pa.types.is_dictionary(array.type)
        or len(array.dictionary) >= len(array)
    ):
        return None
    words = pa.concat_arrays(
        [array.dictionary, pa.nulls(1, array.dictionary.type)]
    )  # the last stands for null
    try:
        made = _query(
            f"select {column.computed} as v from batch", pa.table({f"c{column.inputs[0].field_id}": words})
        )
    except duckdb.Error:
        return None
    rows = array.indices.cast(pa.int32()).fill_null(len(words) - 1)
    return _one(made.column(0)).cast(result_type(column)).take(rows)


def result_type(column: Column) -> pa.DataType:
    """Return the Arrow type of a column's expression."""
    import pyarrow as pa

    kind = column.result
    assert kind is not None
    if kind.kind == "numeric":
        return pa.decimal128(kind.precision, kind.scale)
    plain = {"bool": pa.bool_(), "int4": pa.int32(), "int8": pa.int64(), "float4": pa.float32()}
    plain |= {
        "float8": pa.float64(),
        "text": pa.string(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us"),
    }
    return plain.get(kind.kind, pa.timestamp("us", "UTC"))


def _one(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    found = column.combine_chunks()
    return found if isinstance(found, pa.Array) else found.chunk(0)


_local = threading.local()


def _query(statement: str, table: pa.Table) -> pa.Table:
    """Run a statement over `batch` in this thread's own DuckDB."""
    import duckdb

    connection = getattr(_local, "connection", None)
    if connection is None:
        connection = _local.connection = duckdb.connect(
            ":memory:", config={"threads": 1, "memory_limit": "256MB", "enable_external_access": False}
        )
        connection.execute("set timezone = 'UTC'")
    connection.register("batch", table)
    try:
        return connection.sql(statement).to_arrow_table()
    finally:
        connection.unregister("batch")


def _refuse(columns: Sequence[Column], table: pa.Table) -> None:
    """Raise for the first row that some expression cannot compute, found by halving."""
    import duckdb

    for column in columns:
        start, stop, reason = 0, table.num_rows, ""
        while stop - start >= 1:
            middle = (start + stop) // 2 if stop - start > 1 else stop
            try:
                _query(f"select {column.computed} from batch", table.slice(start, middle - start))
            except duckdb.Error as error:
                reason = str(error).splitlines()[0].partition(": ")[2].partition("!")[0]
                if stop - start == 1:
                    raise ValueRefusedError(
                        f"Column '{column.name}': {column.expression} cannot be computed: {reason}.",
                        row=start,
                    ) from None
                stop = middle
                continue
            if middle == stop:
                break
            start = middle


class _Compiler:
    """Turns one parsed expression into DuckDB's SQL, typed as Postgres types it."""

    def __init__(self, inputs: Mapping[str, Column]) -> None:
        from sqlglot import exp

        self.inputs = inputs
        self.used: dict[str, Column] = {}
        self._exp = exp
        self._rules: dict[type[Any], Callable[[Any], Term]] = {
            exp.Column: self._column,
            exp.Literal: self._literal,
            exp.Boolean: lambda node: Term(str(node.this).lower(), BOOL),
            exp.Null: lambda node: Term("null", None),  # noqa: ARG005 - a rule takes its node
            exp.Paren: lambda node: self.term(node.this),
            exp.Cast: self._cast,
            exp.Upper: lambda node: self._upper(self._text(node.this, "upper")),
            exp.Lower: lambda node: Term(f"lower({self._text(node.this, 'lower')})", TEXT),
            exp.Trim: self._trim,
            exp.Coalesce: self._coalesce,
            exp.Nullif: self._nullif,
            exp.Substring: self._substring,
            exp.Replace: self._replace,
            exp.Concat: self._concat,
            exp.DPipe: self._pipe,
            exp.Round: self._round,
            exp.Abs: self._abs,
            exp.Neg: lambda node: self._negate(self._numeric(node.this, "-")),
            exp.Add: lambda node: self._arithmetic(node, "+"),
            exp.Sub: lambda node: self._arithmetic(node, "-"),
            exp.Mul: lambda node: self._arithmetic(node, "*"),
            exp.Div: lambda node: self._divide(node, "/"),
            exp.Mod: lambda node: self._divide(node, "%"),
            exp.Case: self._case,
            exp.EQ: lambda node: self._compare(node, "="),
            exp.NEQ: lambda node: self._compare(node, "<>"),
            exp.LT: lambda node: self._compare(node, "<"),
            exp.LTE: lambda node: self._compare(node, "<="),
            exp.GT: lambda node: self._compare(node, ">"),
            exp.GTE: lambda node: self._compare(node, ">="),
            exp.NullSafeEQ: lambda node: self._compare(node, "is not distinct from"),
            exp.NullSafeNEQ: lambda node: self._compare(node, "is distinct from"),
            exp.Between: self._between,
            exp.In: self._in,
            exp.Is: self._is,
            exp.And: lambda node: self._logic(node, "and"),
            exp.Or: lambda node: self._logic(node, "or"),
            exp.Not: lambda node: Term(f"(not {self._bool(node.this)})", BOOL),
            exp.TimestampTrunc: self._trunc,
            exp.Extract: self._extract,
        }

    def term(self, node: Any) -> Term:
        rule = self._rules.get(type(node))
        if rule is None:
            raise ValueError(f"'{node.sql('postgres')}' is not of the language of expressions")
        return rule(node)

    # -- leaves --------------------------------------------------------------------------------------------------------

    def _column(self, node: Any) -> Term:
        name = node.name if node.this.quoted else node.name.lower()
        column = self.inputs.get(name)
        if column is None or node.table:
            raise ValueError(f"'{node.sql('postgres')}' is no column of the lake table")
        if column.type.array or column.type.kind not in _KINDS:
            raise ValueError(f"column '{name}' is {column.type.sql}, which expressions do not take")
        self.used[name] = column
        return Term(f"batch.c{column.field_id}", column.type)

    def _literal(self, node: Any) -> Term:
        if node.is_string:
            if "\0" in node.this:
                raise ValueError("a text with a NUL character is none of Postgres's")
            return Term("'" + node.this.replace("'", "''") + "'", TEXT)
        if re.fullmatch(r"[0-9]+", node.this):
            number = int(node.this)
            if number < 2**31:
                return Term(f"{number}::INTEGER", INT4)
            if number < 2**63:
                return Term(f"{number}::BIGINT", INT8)
        if not re.fullmatch(r"[0-9]*\.?[0-9]*", node.this):
            raise ValueError(f"number {node.this} must be written in digits")
        whole, _, part = node.this.partition(".")
        kind = self._decimal(len(whole.lstrip("0")) + len(part) or 1, len(part))
        return Term(f"{node.this}::{duckdb_type(kind)}", kind)

    # -- types ---------------------------------------------------------------------------------------------------------

    def _decimal(self, precision: int, scale: int) -> SqlType:
        if precision > _WIDEST:
            raise ValueError(f"a result of {precision} digits is too wide; cast to fewer, at most {_WIDEST}")
        return SqlType("numeric", max(precision, scale, 1), scale)

    def _as_decimal(self, kind: SqlType) -> SqlType:
        return kind if kind.kind == "numeric" else SqlType("numeric", _DIGITS[kind.kind], 0)

    def _common(self, terms: Sequence[Term], what: str) -> tuple[SqlType, bool]:
        """Return the type that Postgres brings terms to, and whether decimals of several scales are among them."""
        kinds = [term.type for term in terms if term.type is not None]
        names = {kind.kind for kind in kinds}
        if not names:
            return TEXT, False
        if len(names) == 1 and "numeric" not in names:
            return SqlType(kinds[0].kind), False
        if names <= {"int4", "int8"}:
            return INT8, False
        if names <= {"int4", "int8", "numeric"}:
            decimals = [self._as_decimal(kind) for kind in kinds]
            scale = max(kind.scale for kind in decimals)
            digits = max(kind.precision - kind.scale for kind in decimals) + scale
            loose = len({kind.scale for kind in decimals}) > 1 or any(term.loose for term in terms)
            return self._decimal(digits, scale), loose
        if names <= {"int4", "int8", "numeric", "float8"}:
            return FLOAT8, False
        if names == {"date", "timestamp"}:
            return TIMESTAMP, False
        shown = " and ".join(sorted({kind.sql for kind in kinds}))
        raise ValueError(f"{what} of {shown} needs a cast")

    def _to(self, term: Term, kind: SqlType) -> str:
        """Return a term brought to a type it is implicitly cast to."""
        if term.type is None:
            return f"cast(null as {duckdb_type(kind)})"
        if term.type == kind:
            return term.sql
        if term.type.kind == "numeric" and kind == FLOAT8:  # through its digits: a division would round twice
            return f"cast(cast({term.sql} as VARCHAR) as DOUBLE)"
        return f"cast({term.sql} as {duckdb_type(kind)})"

    def _text(self, node: Any, what: str) -> str:
        term = self.term(node)
        if term.type is not None and term.type.kind != "text":
            raise ValueError(f"{what} takes text; '{node.sql('postgres')}' is {term.type.sql}: cast it")
        return self._to(term, TEXT) if term.type is None else term.sql

    def _bool(self, node: Any) -> str:
        term = self.term(node)
        if term.type is not None and term.type.kind != "bool":
            raise ValueError(f"'{node.sql('postgres')}' is {term.type.sql} and stands for a condition")
        return self._to(term, BOOL)

    def _numeric(self, node: Any, what: str) -> Term:
        term = self.term(node)
        if term.type is None or term.type.kind not in ("int4", "int8", "numeric", "float4", "float8"):
            raise ValueError(f"{what} takes numbers; '{node.sql('postgres')}' is none")
        return term

    def _integer(self, node: Any, what: str) -> str:
        term = self.term(node)
        if term.type is None or term.type.kind != "int4":
            raise ValueError(f"{what} takes an integer; '{node.sql('postgres')}' is none")
        return f"cast({term.sql} as BIGINT)"

    # -- casts ---------------------------------------------------------------------------------------------------------

    def _cast(self, node: Any) -> Term:
        term, declared = self.term(node.this), node.to.sql("postgres")
        try:
            kind, _ = parse_declared(declared)
        except ValueError:
            raise ValueError(f"cannot cast to {declared}") from None
        if kind.array or kind.kind not in _KINDS or (kind.precision and kind.kind != "numeric"):
            raise ValueError(f"cannot cast to {declared}")
        if term.type is None:
            return Term(f"cast(null as {duckdb_type(kind)})", kind)
        return Term(f"({self._casted(term, kind)})", kind)

    def _casted(self, term: Term, kind: SqlType) -> str:
        assert term.type is not None
        old, sql, to = term.type.kind, term.sql, f"cast({{}} as {duckdb_type(kind)})"
        new = kind.kind
        whole = ("int4", "int8")
        if new == "text":
            return self._as_text(term, kind)
        if old == "text":
            return self._from_text(sql, kind)
        if old == new and old != "numeric":
            return sql
        if old in whole and new in (*whole, "numeric", "float4", "float8"):
            return to.format(sql)
        if old == "numeric" and new in (*whole, "numeric"):
            return to.format(sql)
        if old == "numeric" and new in ("float4", "float8"):
            return to.format(f"cast({sql} as VARCHAR)")
        if old in ("float4", "float8") and new in whole:
            return to.format(sql)
        if (
            old in ("float4", "float8") and new == "numeric"
        ):  # the digits that Postgres takes, rounded half away from zero
            digits = 15 if old == "float8" else 6
            return to.format(f"printf('%.{digits}g', cast({sql} as DOUBLE))")
        if old == "float4" and new == "float8":
            return to.format(sql)
        if old == "float8" and new == "float4":
            small = f"cast({sql} as FLOAT)"
            lost = f"(isinf({small}) and not isinf({sql})) or ({small} = 0 and {sql} <> 0)"
            return f"case when {lost} then error('value out of range for real') else {small} end"
        if (old, new) == ("int4", "bool"):
            return f"{sql} <> 0"
        if (old, new) == ("bool", "int4") or (old, new) in (("date", "timestamp"), ("timestamp", "date")):
            return to.format(sql)
        if (old, new) == ("timestamptz", "timestamp"):
            return f"{sql} at time zone 'UTC'"
        if (old, new) == ("timestamptz", "date"):
            return to.format(f"({sql} at time zone 'UTC')")
        if old in ("timestamp", "date") and new == "timestamptz":
            return f"cast({sql} as TIMESTAMP) at time zone 'UTC'"
        raise ValueError(f"cannot cast {term.type.sql} to {kind.sql}")

    def _as_text(self, term: Term, kind: SqlType) -> str:
        assert term.type is not None
        old, sql = term.type.kind, term.sql
        if old in ("float4", "float8", "timestamptz") or term.loose:
            shown = "a decimal of several scales" if term.loose else term.type.sql
            raise ValueError(f"cannot cast {shown} to text; cast it to decimal(p,s) or timestamp before")
        text = sql if old == "text" else f"cast({sql} as VARCHAR)"
        if old in ("date", "timestamp"):
            text = f"case when year({sql}) between 1 and 9999 then {text} when {sql} is not null then"
            text += " error('a year outside of 1 to 9999 as text') end"
        return f"left({text}, {kind.length})" if kind.length else text

    def _from_text(self, sql: str, kind: SqlType) -> str:
        if kind.kind == "bool":
            word = f"lower(trim({sql}, ' \t\n\r\f\v'))"
            either = f"when {word} in {_TRUE!r} then true when {word} in {_FALSE!r} then false"
            return f"case {either} when {sql} is not null then error('text that is no boolean') end"
        pattern = {
            "int4": _SPACE + "[+-]?[0-9]+" + _SPACE,
            "int8": _SPACE + "[+-]?[0-9]+" + _SPACE,
            "numeric": _NUMBER + _SPACE,
            "float4": _NUMBER + "([eE][+-]?[0-9]+)?" + _SPACE,
            "float8": _NUMBER + "([eE][+-]?[0-9]+)?" + _SPACE,
            "date": _SPACE + _ISO_DAY + _SPACE,
            "timestamp": _SPACE + _ISO_DAY + f"([ T]{_CLOCK})?" + _SPACE,
        }.get(kind.kind)
        if pattern is None:
            raise ValueError(f"cannot cast text to {kind.sql}")
        word = f"ltrim(trim({sql}, ' \t\n\r\f\v'), '+')"
        fits = f"regexp_full_match({sql}, '{pattern}')"
        read = f"cast({word} as {duckdb_type(kind)})"
        if kind.kind in ("float4", "float8"):
            zero = f"regexp_full_match({word}, '-?[0.]*([eE].*)?')"
            lost = f"isinf({read}) or ({read} = 0 and not {zero})"
            read = f"case when {lost} then error('a number out of range') else {read} end"
        told = f"error('text that is no {kind.sql}: ' || {sql})"
        return f"case when {sql} is null then null when {fits} then {read} else {told} end"

    # -- functions of text ---------------------------------------------------------------------------------------------

    def _upper(self, text: str) -> Term:
        """DuckDB makes ß a capital of its own; Postgres leaves it."""
        parts = f"list_transform(string_split({text}, 'ß'), lambda part: upper(part))"
        return Term(
            f"(case when contains({text}, 'ß') then array_to_string({parts}, 'ß') else upper({text}) end)",
            TEXT,
        )

    def _trim(self, node: Any) -> Term:
        if node.args.get("collation"):
            raise ValueError(f"'{node.sql('postgres')}' is not of the language of expressions")
        name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(
            str(node.args.get("position") or "").upper(), "trim"
        )
        characters = self._text(node.expression, name) if node.expression else "' '"
        return Term(f"{name}({self._text(node.this, name)}, {characters})", TEXT)

    def _substring(self, node: Any) -> Term:
        text = self._text(node.this, "substring")
        start = self._integer(node.args["start"], "substring") if node.args.get("start") else "1"
        first = f"greatest({start}, 1)"
        if node.args.get("length") is None:
            return Term(f"(case when {start} is not null then substring({text}, {first}) end)", TEXT)
        length = self._integer(node.args["length"], "substring")
        taken = f"substring({text}, {first}, greatest({start} + {length} - {first}, 0))"
        known = f"{start} is null or {length} is null or {text} is null"
        negative = f"when {length} < 0 then error('negative substring length not allowed')"
        return Term(f"(case when {known} then null {negative} else {taken} end)", TEXT)

    def _replace(self, node: Any) -> Term:
        parts = [node.this, node.expression, node.args.get("replacement")]
        if any(part is None for part in parts):
            raise ValueError("replace takes three texts")
        return Term(f"replace({', '.join(self._text(part, 'replace') for part in parts)})", TEXT)

    def _concat(self, node: Any) -> Term:
        parts = [self._text(part, "concat") for part in node.expressions]
        return Term("concat(" + ", ".join(parts) + ")", TEXT)

    def _pipe(self, node: Any) -> Term:
        left, right = self._text(node.this, "||"), self._text(node.expression, "||")
        return Term(f"({left} || {right})", TEXT)

    # -- functions of numbers ------------------------------------------------------------------------------------------

    def _round(self, node: Any) -> Term:
        term, places = self._numeric(node.this, "round"), node.args.get("decimals")
        assert term.type is not None
        if places is None and term.type.kind != "numeric":
            return Term(f"round_even({self._to(term, FLOAT8)}, 0)", FLOAT8)
        digits = 0 if places is None else self._constant(places)
        if term.type.kind in ("float4", "float8"):
            raise ValueError("round to places takes a decimal; cast the double to decimal(p,s)")
        kind = self._as_decimal(term.type)
        if not 0 <= digits <= max(kind.scale, 0) and digits != 0:
            raise ValueError(f"round to {digits} places of {kind.sql} is not taken; its scale is the most")
        wanted = self._decimal(min(_WIDEST, kind.precision - kind.scale + digits + 1), digits)
        return Term(f"cast({self._to(term, kind)} as {duckdb_type(wanted)})", wanted)

    def _constant(self, node: Any) -> int:
        if type(node) is not self._exp.Literal or node.is_string or not re.fullmatch("[0-9]+", node.this):
            raise ValueError("round takes the number of places as a constant from 0 on")
        return int(node.this)

    def _abs(self, node: Any) -> Term:
        term = self._numeric(node.this, "abs")
        return replace(term, sql=f"abs({term.sql})")

    def _negate(self, term: Term) -> Term:
        return replace(term, sql=f"(-{term.sql})")

    def _operands(self, node: Any, sign: str) -> tuple[Term, Term, SqlType]:
        left, right = self._numeric(node.this, sign), self._numeric(node.expression, sign)
        return left, right, self._common([left, right], sign)[0]

    def _arithmetic(self, node: Any, sign: str) -> Term:
        left, right, kind = self._operands(node, sign)
        if kind.kind == "numeric":
            return self._exact(left, right, sign)
        one, other = self._to(left, kind), self._to(right, kind)
        if kind.kind in ("int4", "int8"):
            return Term(f"({one} {sign} {other})", kind)
        return Term(self._in_range(one, sign, other, kind), kind)

    def _exact(self, left: Term, right: Term, sign: str) -> Term:
        assert left.type is not None
        assert right.type is not None
        one, other = self._as_decimal(left.type), self._as_decimal(right.type)
        if sign == "*":
            kind = self._decimal(one.precision + other.precision, one.scale + other.scale)
            # DuckDB multiplies two narrow decimals as a narrow one, which overflows
            if kind.precision > _NARROW:
                one = replace(one, precision=max(one.precision, _NARROW + 1))
        else:
            scale = max(one.scale, other.scale)
            kind = self._decimal(
                max(one.precision - one.scale, other.precision - other.scale) + scale + 1, scale
            )
            one = other = kind
        sides = self._to(left, one), self._to(right, other)
        return Term(
            f"cast({sides[0]} {sign} {sides[1]} as {duckdb_type(kind)})", kind, left.loose or right.loose
        )

    def _in_range(self, one: str, sign: str, other: str, kind: SqlType) -> str:
        """Return float arithmetic that ends as Postgres's does where a result leaves the type's range."""
        result = f"({one} {sign} {other})"
        lost = f"isinf({result}) and not isinf({one}) and not isinf({other})"
        if sign in "*/":
            small = f"{one} <> 0" if sign == "/" else f"{one} <> 0 and {other} <> 0"
            lost += f" or {result} = 0 and {small}" + (f" and not isinf({other})" if sign == "/" else "")
        return f"(case when {lost} then error('value out of range for {kind.sql}') else {result} end)"

    def _divide(self, node: Any, sign: str) -> Term:
        left, right, kind = self._operands(node, sign)
        if kind.kind == "numeric":
            raise ValueError(f"'{sign}' of decimals is not taken: cast one to double precision")
        one, other = self._to(left, kind), self._to(right, kind)
        if kind.kind in ("int4", "int8"):
            result = f"({one} {'//' if sign == '/' else '%'} {other})"
        elif sign == "%":
            raise ValueError("'%' takes integers")
        else:
            result = self._in_range(one, sign, other, kind)
        by_zero = f"when {other} = 0 then error('division by zero')"
        return Term(
            f"(case when {one} is null or {other} is null then null {by_zero} else {result} end)", kind
        )

    # -- conditions ----------------------------------------------------------------------------------------------------

    def _coalesce(self, node: Any) -> Term:
        terms = [self.term(part) for part in (node.this, *node.expressions)]
        kind, loose = self._common(terms, "coalesce")
        return Term("coalesce(" + ", ".join(self._to(term, kind) for term in terms) + ")", kind, loose)

    def _nullif(self, node: Any) -> Term:
        left, right = self.term(node.this), self.term(node.expression)
        self._common([left, right], "nullif")
        same = self._compared(left, right, "=")
        kind = left.type or TEXT
        return Term(f"(case when {same} then null else {self._to(left, kind)} end)", kind, left.loose)

    def _case(self, node: Any) -> Term:
        subject = self.term(node.this) if node.this is not None else None
        conditions = []
        for branch in node.args["ifs"]:
            if subject is None:
                conditions.append(self._bool(branch.this))
            else:
                conditions.append(self._compared(subject, self.term(branch.this), "="))
        results = [self.term(branch.args["true"]) for branch in node.args["ifs"]]
        default = node.args.get("default")
        other = self.term(default) if default is not None else Term("null", None)
        kind, loose = self._common([*results, other], "case")
        parts = [
            f"when {condition} then {self._to(result, kind)}"
            for condition, result in zip(conditions, results, strict=True)
        ]
        return Term(f"(case {' '.join(parts)} else {self._to(other, kind)} end)", kind, loose)

    def _compare(self, node: Any, sign: str) -> Term:
        self._no_chain(node.this, node.expression)
        return Term(f"({self._compared(self.term(node.this), self.term(node.expression), sign)})", BOOL)

    def _no_chain(self, *nodes: Any) -> None:
        exp = self._exp
        chained = (exp.Predicate, exp.Not, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Is, exp.In, exp.Between)
        for node in nodes:
            if isinstance(node, chained):
                raise ValueError(f"'{node.sql('postgres')}' within a comparison needs parentheses")

    def _compared(self, left: Term, right: Term, sign: str) -> str:
        kind, _ = self._common([left, right], f"'{sign}'")
        if kind.kind == "text" and sign in ("<", "<=", ">", ">="):
            raise ValueError(
                "text is compared by = and <> only: its order depends on the database's collation"
            )
        return f"{self._to(left, kind)} {sign} {self._to(right, kind)}"

    def _between(self, node: Any) -> Term:
        self._no_chain(node.this, node.args["low"], node.args["high"])
        if node.args.get("symmetric"):
            raise ValueError("between symmetric is not of the language of expressions")
        term, low, high = (self.term(part) for part in (node.this, node.args["low"], node.args["high"]))
        return Term(f"({self._compared(term, low, '>=')} and {self._compared(term, high, '<=')})", BOOL)

    def _in(self, node: Any) -> Term:
        self._no_chain(node.this, *node.expressions)
        if (
            not node.expressions
            or len(node.args) - sum(value in (None, []) for value in node.args.values()) > 2
        ):
            raise ValueError(f"'{node.sql('postgres')}' is not of the language of expressions")
        subject = self.term(node.this)
        sames = [self._compared(subject, self.term(item), "=") for item in node.expressions]
        return Term("(" + " or ".join(sames) + ")", BOOL)

    def _is(self, node: Any) -> Term:
        self._no_chain(node.this)
        what = node.expression
        no = "not " if node.args.get("negate") else ""
        if type(what) is self._exp.Null:
            return Term(f"({self.term(node.this).sql} is {no}null)", BOOL)
        if type(what) is self._exp.Boolean:
            return Term(f"({self._bool(node.this)} is {no}{str(what.this).lower()})", BOOL)
        raise ValueError(f"'{node.sql('postgres')}' is not of the language of expressions")

    def _logic(self, node: Any, word: str) -> Term:
        return Term(f"({self._bool(node.this)} {word} {self._bool(node.expression)})", BOOL)

    # -- dates ---------------------------------------------------------------------------------------------------------

    def _trunc(self, node: Any) -> Term:
        term, unit = self.term(node.this), str(node.args["unit"]).strip("'").lower()
        if unit not in _TRUNC or node.args.get("zone"):
            raise ValueError(f"date_trunc takes {', '.join(_TRUNC)}, not {unit}")
        if term.type == TIMESTAMP:
            return Term(f"date_trunc('{unit}', {term.sql})", TIMESTAMP)
        if term.type == TIMESTAMPTZ:
            local = f"({term.sql} at time zone 'UTC')"
            return Term(f"(date_trunc('{unit}', {local}) at time zone 'UTC')", TIMESTAMPTZ)
        raise ValueError(
            "date_trunc takes a timestamp: cast a date, of which Postgres would make a timestamptz"
        )

    def _extract(self, node: Any) -> Term:
        term, part = self.term(node.expression), str(node.this).strip("'").lower()
        known = _DAY_PARTS if term.type == DATE else _TIME_PARTS
        if term.type not in (DATE, TIMESTAMP, TIMESTAMPTZ):
            raise ValueError(
                f"extract takes a date or timestamp; '{node.expression.sql('postgres')}' is none"
            )
        if part not in known:
            raise ValueError(f"extract takes {', '.join(known)} of {term.type.sql}, not {part}")
        sql = f"({term.sql} at time zone 'UTC')" if term.type == TIMESTAMPTZ else term.sql
        kind = self._decimal(10, 0)
        return Term(f"cast(date_part('{part}', {sql}) as {duckdb_type(kind)})", kind)


def duckdb_type(kind: SqlType) -> str:
    return f"DECIMAL({kind.precision},{kind.scale})" if kind.kind == "numeric" else _DUCKDB[kind.kind]
