"""Two sqlglot dialects: Athena's for reading, with no function known to it, and DuckDB's for writing.

Reading knows no function because sqlglot accepts every dialect's spelling of one; here each call stays a plain name with
arguments, and `functions.py` alone decides what it means or that there is no such function.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.dialects.trino import Trino
from sqlglot.tokens import TokenType  # type: ignore[attr-defined]

from athena_local.sql.statements import Position

_HOLE = re.compile(
    r"""("(?:[^"]|"")*"|'(?:[^']|'')*')|\{(\d+)\}"""
)  # what is quoted holds no holes: it may be a name
_DECIMAL_DIGITS = re.compile(r"\s*[+-]?(?=\.?\d)(\d*)(?:\.(\d*))?\s*")
_SYNTACTIC = {"CAST", "TRY_CAST", "EXTRACT", "LISTAGG", "POSITION", "SUBSTRING", "TRIM", "NORMALIZE"}


class AthenaSQL(Trino):
    """Trino's query grammar. `INDEX_OFFSET` 0 leaves subscripts as they were written."""

    INDEX_OFFSET = 0

    class Tokenizer(Trino.Tokenizer):
        COMMANDS: ClassVar[set[Any]] = set()
        KEYWORDS: ClassVar[dict[str, Any]] = {
            key: value
            for key, value in Trino.Tokenizer.KEYWORDS.items()
            if key not in {"==", "::", "//", "PIVOT", "UNPIVOT", "QUALIFY"}
        }

    class Parser(Trino.Parser):  # type: ignore[misc, valid-type]
        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
            key: value for key, value in Trino.Parser.FUNCTION_PARSERS.items() if key in _SYNTACTIC
        }
        PRIMARY_PARSERS: ClassVar[dict[Any, Any]] = {
            **Trino.Parser.PRIMARY_PARSERS,
            TokenType.NUMBER: lambda _, token: _placed(exp.Literal(this=token.text, is_string=False), token),
            TokenType.STRING: lambda _, token: _placed(exp.Literal(this=token.text, is_string=True), token),
        }
        PLACEHOLDER_PARSERS: ClassVar[dict[Any, Any]] = {
            TokenType.PLACEHOLDER: lambda self: _placeholder(self)
        }
        TYPE_LITERAL_PARSERS: ClassVar[dict[Any, Any]] = {
            **Trino.Parser.TYPE_LITERAL_PARSERS,
            exp.DType.DECIMAL: lambda parser, this, kind: parser.expression(_decimal_literal(this, kind)),
        }


def _decimal_literal(this: exp.Expression, kind: exp.DataType) -> exp.Cast:
    """Return DECIMAL '1.10' as a cast to the type its digits make, decimal(3,2); a bare DECIMAL would be decimal(38,0)."""
    digits = _DECIMAL_DIGITS.fullmatch(this.name)
    if digits is not None and not kind.expressions:
        whole, fraction = digits[1].lstrip("0"), digits[2] or ""
        kind = exp.DataType.build(
            f"decimal({max(1, len(whole + fraction))}, {len(fraction)})", dialect="trino"
        )
    return exp.Cast(this=this, to=kind)


def _placeholder(parser: Any) -> exp.Expression:
    """A `?` that remembers its place: parameters are filled in the order they stand in the text."""
    return _placed(exp.Placeholder(), parser._prev)


def _placed(node: exp.Expression, token: Any) -> exp.Expression:
    node.meta.update(line=token.line, col=token.col, start=token.start, end=token.end)
    return node


class Source(exp.Expression):
    """A FROM item whose DuckDB text is ready: `this` is the text, `alias` its name in the query."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "alias": False}


class Text(exp.Expression):
    """DuckDB text with `expressions` put where `{0}`, `{1}` … stand; without any, the text is taken as it is."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "expressions": False}


class DuckDBText(DuckDB):
    """DuckDB's spelling. Trees that reach it hold DuckDB functions only, as `exp.Anonymous` or `Text`."""

    INDEX_OFFSET = 0

    class Generator(DuckDB.Generator):  # type: ignore[misc, valid-type]
        TRANSFORMS: ClassVar[dict[Any, Any]] = {
            **DuckDB.Generator.TRANSFORMS,
            Source: lambda self, node: _source(self, node),
            Text: lambda self, node: _text(self, node),
        }


def _source(generator: Any, node: Source) -> str:
    alias = node.args.get("alias")
    return f"({node.this})" + (f" AS {generator.sql(alias)}" if alias else "")


def _text(generator: Any, node: Text) -> str:
    if not node.expressions:
        return str(node.this)
    parts = [generator.sql(item) for item in node.expressions]
    return _HOLE.sub(lambda match: match.group(1) or parts[int(match.group(2))], str(node.this))


def start_of(node: exp.Expression) -> int | None:
    """Return the first character's offset of the leftmost thing in `node` that kept its place."""
    starts = [item.meta["start"] for item in node.walk() if "start" in item.meta]
    return min(starts) if starts else None


def position_at(text: str, offset: int) -> Position:
    """Return one-based line and column of a character offset."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


__all__ = ["AthenaSQL", "DuckDBText", "Source", "Text", "TokenType", "position_at", "start_of"]
