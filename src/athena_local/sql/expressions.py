"""Scalar expressions: names resolved, types worked out as far as they are known, and DuckDB's equivalent built.

Every kind of node that is allowed has a handler here; one that has none is refused, so DuckDB's own syntax cannot slip
through. Type rules are Trino's: text never becomes a number by itself, integers divide as integers, 1 / 0e0 is Infinity.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from sqlglot import exp

from athena_local.engine.errors import raising
from athena_local.errors import QueryError
from athena_local.sql.dialect import AthenaSQL, Text
from athena_local.sql.functions import DAY_TO_SECOND, FUNCTIONS, Function, as_decimal, common_type
from athena_local.sql.scope import Scope, Typed, position_of
from athena_local.types import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGER,
    TIMESTAMP,
    TIMESTAMP_TZ,
    UNKNOWN,
    VARBINARY,
    VARCHAR,
    AthenaType,
    array_of,
    map_of,
    parse_type,
    quote,
    row_of,
)

Type = AthenaType | None
MAX_INTEGER = 2**31 - 1
_COMPARISONS = {exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<="}
_ARITHMETIC = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}
_EXTRACTS = {
    "year", "quarter", "month", "week", "day", "day_of_month", "day_of_week", "dow", "day_of_year", "doy",
    "year_of_week", "yow", "hour", "minute", "second",
}  # fmt: skip
_LAMBDA_FUNCTIONS = {
    "transform", "filter", "any_match", "all_match", "none_match", "map_filter", "reduce", "transform_values",
    "transform_keys", "zip_with",
}  # fmt: skip
_ZONE = re.compile(r"\d\s*(?:[+-]\d{1,2}:\d{2}|[A-Za-z]+(?:/[A-Za-z_]+)?)\s*$")
_TIME_FAMILY = {"date", "timestamp", "timestamp with time zone"}


class Expressions:
    """`subquery` translates a query nested in an expression; it returns its tree and its first column's type."""

    def __init__(
        self, subquery: Callable[[exp.Expression, Scope], tuple[exp.Expression, list[Type]]]
    ) -> None:
        self._subquery = subquery
        self._handlers: dict[type, Callable[[Any, Scope], Typed]] = {
            exp.Column: self._column,
            exp.Identifier: self._lambda_name,
            exp.Dot: self._dot,
            exp.Literal: self._literal,
            exp.Boolean: lambda node, _: Typed(node.copy(), BOOLEAN),
            exp.Null: lambda node, _: Typed(node.copy(), UNKNOWN),
            exp.Paren: self._paren,
            exp.Cast: self._cast,
            exp.TryCast: self._cast,
            exp.And: self._logical,
            exp.Or: self._logical,
            exp.Not: self._not,
            exp.Neg: self._negative,
            exp.Between: self._between,
            exp.In: self._in,
            exp.Is: self._is,
            exp.NullSafeEQ: self._distinct_from,
            exp.NullSafeNEQ: self._distinct_from,
            exp.Like: self._like,
            exp.Escape: self._escape,
            exp.DPipe: self._concatenation,
            exp.Case: self._case,
            exp.If: self._if,
            exp.Exists: self._exists,
            exp.Subquery: self._scalar_subquery,
            exp.Any: self._quantified,
            exp.All: self._quantified,
            exp.Array: self._array,
            exp.Tuple: self._row,
            exp.Bracket: self._subscript,
            exp.Interval: self._interval,
            exp.AtTimeZone: self._at_time_zone,
            exp.Extract: self._extract,
            exp.Trim: self._trim,
            exp.Substring: self._substring,
            exp.StrPosition: self._position,
            exp.Normalize: lambda node, scope: self._call("normalize", [node.this], node, scope),
            exp.GroupConcat: self._listagg,
            exp.CurrentDate: lambda *_: Typed(Text(this="current_date"), DATE),
            exp.CurrentTimestamp: lambda *_: Typed(
                Text(this="date_trunc('milliseconds', now())"), TIMESTAMP_TZ
            ),
            exp.Localtimestamp: lambda *_: Typed(
                Text(this="CAST(date_trunc('milliseconds', now()) AS TIMESTAMP)"), TIMESTAMP
            ),
            exp.CurrentUser: lambda *_: Typed(Text(this="'athena'"), VARCHAR),
            exp.HexString: lambda node, _: Typed(Text(this=f"unhex('{node.this}')"), VARBINARY),
            exp.Anonymous: lambda node, scope: self._call(node.name.lower(), node.expressions, node, scope),
            exp.Window: self._window,
            exp.Filter: self._filter,
            exp.Distinct: self._distinct,
            exp.Order: self._ordered_argument,
            exp.Star: lambda *_: Typed(exp.Star(), None),
            exp.WithinGroup: self._refuse,
            exp.IgnoreNulls: self._null_treatment,
            exp.RespectNulls: self._null_treatment,
        }
        for comparison in _COMPARISONS:
            self._handlers[comparison] = self._compare
        for operation in _ARITHMETIC:
            self._handlers[operation] = self._arithmetic

    def translate(self, node: exp.Expression, scope: Scope) -> Typed:
        handler = self._handlers.get(type(node), self._refuse)
        return handler(node, scope)

    def _all(self, nodes: Sequence[exp.Expression], scope: Scope) -> list[Typed]:
        return [self.translate(node, scope) for node in nodes]

    def _refuse(self, node: exp.Expression, scope: Scope) -> Typed:  # noqa: ARG002
        text = node.sql(dialect=AthenaSQL)[:60]
        raise QueryError(
            "SYNTAX_ERROR", f"mismatched input '{text}'. Not Athena SQL", position=position_of(node)
        )

    # names

    def _column(self, node: exp.Column, scope: Scope) -> Typed:
        parts = [part.name for part in node.parts]
        position = position_of(node)
        if isinstance(node.this, exp.Star):
            return self._refuse(node, scope)
        if len(parts) > 1:
            relation = scope.relation(parts[-2]) if len(parts) <= 3 else None
            if relation is not None:
                found = relation.find(parts[-1])
                if len(found) == 1:
                    return Typed(_reference(relation.alias, found[0].ref), found[0].type)
                if len(found) > 1:
                    raise QueryError(
                        "AMBIGUOUS_NAME", f"Column '{parts[-1]}' is ambiguous", position=position
                    )
            return self._fields(parts, scope, position)
        return self._bare(parts[0], scope, position)

    def _bare(self, name: str, scope: Scope, position: Any) -> Typed:
        if name.lower() in scope.lambdas:
            return Typed(Text(this=quote(name.lower())), scope.lambdas[name.lower()])
        found = scope.bare(name, position)
        if found is None:
            if name.lower() in scope.overlay:
                node, kind = scope.overlay[name.lower()]
                return Typed(node.copy(), kind)
            raise QueryError("COLUMN_NOT_FOUND", f"Column '{name}' cannot be resolved", position=position)
        relation, output = found
        return Typed(_reference(relation.alias if relation else None, output.ref), output.type)

    def _fields(self, parts: list[str], scope: Scope, position: Any) -> Typed:
        """Resolve `column.field…` or `table.column.field…`."""
        relation = scope.relation(parts[0])
        rest = parts[1:]
        if relation is not None and relation.find(parts[1]):
            output = relation.find(parts[1])[0]
            base = Typed(_reference(relation.alias, output.ref), output.type)
            rest = parts[2:]
        else:
            missing = QueryError(
                "COLUMN_NOT_FOUND", f"Column '{'.'.join(parts)}' cannot be resolved", position=position
            )
            if scope.bare(parts[0], position) is None and parts[0].lower() not in scope.lambdas:
                raise missing
            base = self._bare(parts[0], scope, position)
            if base.type is not None and base.type.base != "row":
                raise missing
        for name in rest:
            base = _field(base, name, position)
        return base

    def _lambda_name(self, node: exp.Identifier, scope: Scope) -> Typed:
        return self._bare(node.name, scope, position_of(node))

    def _dot(self, node: exp.Dot, scope: Scope) -> Typed:
        if isinstance(node.expression, exp.Anonymous):
            return self._refuse(node, scope)
        return _field(self.translate(node.this, scope), node.expression.name, position_of(node))

    # literals and plain operators

    def _literal(self, node: exp.Literal, scope: Scope) -> Typed:  # noqa: ARG002
        if node.is_string:
            return Typed(node.copy(), VARCHAR)
        text = node.name
        if text.isdigit():
            if int(text) > 2**63 - 1:
                raise QueryError(
                    "SYNTAX_ERROR", f"Invalid numeric literal: {text}", position=position_of(node)
                )
            small = int(text) <= MAX_INTEGER
            return Typed(node.copy(), INTEGER if small else BIGINT)
        return Typed(Text(this=text if "e" in text.lower() else f"{text}e0"), DOUBLE)

    def _paren(self, node: exp.Paren, scope: Scope) -> Typed:
        inner = self.translate(node.this, scope)
        return Typed(exp.Paren(this=inner.node), inner.type)

    def _logical(self, node: Any, scope: Scope) -> Typed:
        """AND and OR, in a loop: generated conditions are long chains."""
        kind, items = type(node), []
        current: Any = node
        while type(current) is kind:
            items.append(current.args["expression"])
            current = current.this
        parts = self._all([current, *reversed(items)], scope)
        for part, source in zip(parts, [current, *reversed(items)], strict=True):
            self._expect_boolean(part, source)
        word = " AND " if isinstance(node, exp.And) else " OR "
        text = word.join(f"{{{index}}}" for index in range(len(parts)))
        return Typed(Text(this=f"({text})", expressions=[_operand(part.node) for part in parts]), BOOLEAN)

    def _expect_boolean(self, part: Typed, source: exp.Expression) -> None:
        if part.type is not None and part.type.base not in {"boolean", "unknown"}:
            text = f"Logical expression term must evaluate to a boolean (actual: {part.type})"
            raise QueryError("TYPE_MISMATCH", text, position=position_of(source))

    def _not(self, node: exp.Not, scope: Scope) -> Typed:
        return Typed(
            Text(this="(NOT {0})", expressions=[_operand(self.translate(node.this, scope).node)]), BOOLEAN
        )

    def _negative(self, node: exp.Neg, scope: Scope) -> Typed:
        inner = self.translate(node.this, scope)
        return Typed(Text(this="(-{0})", expressions=[_operand(inner.node)]), inner.type)

    def _compare(self, node: Any, scope: Scope) -> Typed:
        left, right = self.translate(node.this, scope), self.translate(node.expression, scope)
        sign = _COMPARISONS[type(node)]
        self._check_comparable(left.type, right.type, sign, node)
        text = f"({{0}} {sign} {{1}})"
        return Typed(Text(this=text, expressions=[_operand(left.node), _operand(right.node)]), BOOLEAN)

    def _check_comparable(self, left: Type, right: Type, sign: str, node: exp.Expression) -> None:
        if left is None or right is None or "unknown" in {left.base, right.base}:
            return
        if _family(left) != _family(right):
            raise QueryError(
                "TYPE_MISMATCH", f"Cannot apply operator: {left} {sign} {right}", position=position_of(node)
            )

    def _arithmetic(self, node: Any, scope: Scope) -> Typed:
        left, right = self.translate(node.this, scope), self.translate(node.expression, scope)
        sign = _ARITHMETIC[type(node)]
        kind = self._arithmetic_type(left.type, right.type, sign, node)
        operands = [_operand(left.node), _operand(right.node)]
        return Typed(
            Text(this=_arithmetic_text(left.type, right.type, sign, kind), expressions=operands), kind
        )

    def _arithmetic_type(self, left: Type, right: Type, sign: str, node: exp.Expression) -> Type:
        if left is None or right is None:
            return None
        bases = {left.base, right.base}
        if left.is_numeric and right.is_numeric:
            common = common_type(left, right)
            if common is not None and common.base == "decimal":
                return _decimal_result(as_decimal(left), as_decimal(right), sign)
            return common
        if "unknown" in bases:
            return right if left.base == "unknown" else left
        interval = next((kind for kind in (left, right) if kind.base.startswith("interval")), None)
        if interval is not None and sign in "+-":
            other = right if left is interval else left
            if other.base in _TIME_FAMILY | {"time"} or other.base == interval.base:
                return other
        if interval is not None and sign in "*/" and any(kind.is_numeric for kind in (left, right)):
            return interval
        if sign == "-" and bases <= _TIME_FAMILY:
            return DAY_TO_SECOND
        raise QueryError(
            "TYPE_MISMATCH", f"Cannot apply operator: {left} {sign} {right}", position=position_of(node)
        )

    def _between(self, node: exp.Between, scope: Scope) -> Typed:
        value, low, high = self._all([node.this, node.args["low"], node.args["high"]], scope)
        for bound in (low, high):
            if value.type is None or bound.type is None or "unknown" in {value.type.base, bound.type.base}:
                continue
            if _family(value.type) != _family(bound.type):
                text = f"Cannot check if {value.type} is BETWEEN {low.type} and {high.type}"
                raise QueryError("TYPE_MISMATCH", text, position=position_of(node))
        nodes = [_operand(item.node) for item in (value, low, high)]
        return Typed(Text(this="({0} BETWEEN {1} AND {2})", expressions=nodes), BOOLEAN)

    def _in(self, node: exp.In, scope: Scope) -> Typed:
        value = self.translate(node.this, scope)
        if node.args.get("unnest") or node.args.get("field"):
            return self._refuse(node, scope)
        query = node.args.get("query")
        if query is not None:
            inner = query.this if isinstance(query, exp.Subquery) else query
            tree, types = self._subquery(inner, scope)
            if len(types) == 1:
                self._check_in(
                    value.type, types[0], node, "value and result of subquery must be of the same type"
                )
            return Typed(Text(this="({0} IN ({1}))", expressions=[_operand(value.node), tree]), BOOLEAN)
        items = self._all(node.expressions, scope)
        for item in items:
            self._check_in(value.type, item.type, node, "IN value and list items must be the same type")
        holes = ", ".join(f"{{{index + 1}}}" for index in range(len(items)))
        nodes = [_operand(value.node), *(item.node for item in items)]
        return Typed(Text(this=f"({{0}} IN ({holes}))", expressions=nodes), BOOLEAN)

    def _check_in(self, left: Type, right: Type, node: exp.Expression, text: str) -> None:
        if left is None or right is None or "unknown" in {left.base, right.base}:
            return
        if _family(left) != _family(right):
            raise QueryError("TYPE_MISMATCH", f"{text}: {left} vs {right}", position=position_of(node))

    def _is(self, node: exp.Is, scope: Scope) -> Typed:
        if not isinstance(node.expression, exp.Null):
            return self._refuse(node, scope)
        return Typed(
            Text(this="({0} IS NULL)", expressions=[_operand(self.translate(node.this, scope).node)]), BOOLEAN
        )

    def _distinct_from(self, node: Any, scope: Scope) -> Typed:
        left, right = self.translate(node.this, scope), self.translate(node.expression, scope)
        self._check_comparable(left.type, right.type, "IS DISTINCT FROM", node)
        word = "IS DISTINCT FROM" if isinstance(node, exp.NullSafeNEQ) else "IS NOT DISTINCT FROM"
        nodes = [_operand(left.node), _operand(right.node)]
        return Typed(Text(this=f"({{0}} {word} {{1}})", expressions=nodes), BOOLEAN)

    def _like(self, node: exp.Like, scope: Scope) -> Typed:
        left, right = self.translate(node.this, scope), self.translate(node.expression, scope)
        for item in (left, right):
            if item.type is not None and item.type.base not in {"varchar", "char", "unknown"}:
                text = f"Left side of LIKE expression must evaluate to a varchar (actual: {item.type})"
                raise QueryError("TYPE_MISMATCH", text, position=position_of(node))
        nodes = [_operand(left.node), _operand(right.node)]
        return Typed(Text(this="({0} LIKE {1})", expressions=nodes), BOOLEAN)

    def _escape(self, node: exp.Escape, scope: Scope) -> Typed:
        if not isinstance(node.this, exp.Like):
            return self._refuse(node, scope)
        parts = self._all([node.this.this, node.this.expression, node.expression], scope)
        nodes = [_operand(part.node) for part in parts]
        return Typed(Text(this="({0} LIKE {1} ESCAPE {2})", expressions=nodes), BOOLEAN)

    def _concatenation(self, node: exp.DPipe, scope: Scope) -> Typed:
        items: list[exp.Expression] = []
        current: exp.Expression = node
        while isinstance(current, exp.DPipe):
            items.append(current.expression)
            current = current.this
        parts = self._all([current, *reversed(items)], scope)
        types = [part.type for part in parts if part.type is not None]
        for kind in types:
            if kind.base not in {"varchar", "char", "varbinary", "array", "unknown"}:
                shown = ", ".join(str(part.type) if part.type else "unknown" for part in parts[:2])
                text = (
                    f"Unexpected parameters ({shown}) for function concat. Expected: concat(varchar, varchar)"
                )
                raise QueryError("FUNCTION_NOT_FOUND", text, position=position_of(node))
        text = " || ".join(f"{{{index}}}" for index in range(len(parts)))
        result = (
            None
            if len(types) < len(parts)
            else next((kind for kind in types if kind.base != "unknown"), UNKNOWN)
        )
        if result is not None and result.base in {"varchar", "char"}:
            result = VARCHAR
        return Typed(Text(this=f"({text})", expressions=[_operand(part.node) for part in parts]), result)

    # conditionals

    def _case(self, node: exp.Case, scope: Scope) -> Typed:
        subject = self.translate(node.this, scope) if node.this is not None else None
        pieces, nodes, types = ["CASE"], [], []
        if subject is not None:
            pieces.append("{0}")
            nodes.append(_operand(subject.node))
        for branch in node.args["ifs"]:
            condition, value = self.translate(branch.this, scope), self.translate(branch.args["true"], scope)
            if subject is not None:
                self._check_comparable(subject.type, condition.type, "=", branch.this)
            else:
                self._expect_boolean(condition, branch.this)
            pieces.append(f"WHEN {{{len(nodes)}}} THEN {{{len(nodes) + 1}}}")
            nodes += [condition.node, value.node]
            types.append((value.type, branch.args["true"]))
        if node.args.get("default") is not None:
            value = self.translate(node.args["default"], scope)
            pieces.append(f"ELSE {{{len(nodes)}}}")
            nodes.append(value.node)
            types.append((value.type, node.args["default"]))
        kind = self._same_type(types, "All CASE results must be the same type")
        return Typed(Text(this=" ".join([*pieces, "END"]), expressions=nodes), kind)

    def _same_type(self, types: list[tuple[Type, exp.Expression]], text: str) -> Type:
        result: Type = UNKNOWN
        for kind, source in types:
            if kind is None:
                return None
            assert result is not None
            if "unknown" not in {kind.base, result.base} and _family(kind) != _family(result):
                raise QueryError("TYPE_MISMATCH", f"{text}: {result} vs {kind}", position=position_of(source))
            result = common_type(result, kind)
            if result is None:
                return None
        return result

    def _if(self, node: exp.If, scope: Scope) -> Typed:
        values = [node.args["true"]] + ([node.args["false"]] if node.args.get("false") is not None else [])
        condition, *parts = self._all([node.this, *values], scope)
        self._expect_boolean(condition, node.this)
        kind = self._same_type(
            [(part.type, source) for part, source in zip(parts, values, strict=True)],
            "Result types for IF must be the same",
        )
        text = "CASE WHEN {0} THEN {1} ELSE {2} END" if len(parts) > 1 else "CASE WHEN {0} THEN {1} END"
        return Typed(Text(this=text, expressions=[condition.node, *(part.node for part in parts)]), kind)

    # subqueries

    def _exists(self, node: exp.Exists, scope: Scope) -> Typed:
        inner = node.this.this if isinstance(node.this, exp.Subquery) else node.this
        tree, _ = self._subquery(inner, scope)
        return Typed(Text(this="EXISTS ({0})", expressions=[tree]), BOOLEAN)

    def _scalar_subquery(self, node: exp.Subquery, scope: Scope) -> Typed:
        tree, types = self._subquery(node.this, scope)
        if len(types) != 1:
            text = f"Multiple columns returned by subquery are not yet supported. Found {len(types)}"
            raise QueryError("NOT_SUPPORTED", text, position=position_of(node))
        return Typed(Text(this="({0})", expressions=[tree]), types[0])

    def _quantified(self, node: exp.Expression, scope: Scope) -> Typed:
        inner: Any = node.this.this if isinstance(node.this, exp.Subquery) else node.this
        if not isinstance(inner, exp.Select | exp.SetOperation):
            return self._refuse(node, scope)
        tree, types = self._subquery(inner, scope)
        word = "ANY" if isinstance(node, exp.Any) else "ALL"
        return Typed(Text(this=f"{word} ({{0}})", expressions=[tree]), types[0])

    # constructors and subscripts

    def _array(self, node: exp.Array, scope: Scope) -> Typed:
        parts = self._all(node.expressions, scope)
        kind = self._same_type(
            [(part.type, source) for part, source in zip(parts, node.expressions, strict=True)],
            "All ARRAY elements must be the same type",
        )
        holes = ", ".join(f"{{{index}}}" for index in range(len(parts)))
        return Typed(
            Text(this=f"[{holes}]", expressions=[part.node for part in parts]),
            array_of(kind) if kind else None,
        )

    def _row(self, node: exp.Expression, scope: Scope) -> Typed:
        parts = self._all(node.expressions, scope)
        holes = ", ".join(f"{{{index}}}" for index in range(len(parts)))
        types = [part.type for part in parts]
        known = [("", kind) for kind in types if kind is not None]
        kind = row_of(known) if len(known) == len(types) else None
        return Typed(Text(this=f"row({holes})", expressions=[part.node for part in parts]), kind)

    def _subscript(self, node: exp.Bracket, scope: Scope) -> Typed:
        if len(node.expressions) != 1 or isinstance(node.expressions[0], exp.Slice):
            return self._refuse(node, scope)
        base, index = self.translate(node.this, scope), self.translate(node.expressions[0], scope)
        nodes = [_operand(base.node), _operand(index.node)]
        if base.type is not None and base.type.base == "map":
            missing = "'" + raising("INVALID_FUNCTION_ARGUMENT", "Key not present in map") + "'"
            text = f"CASE WHEN map_contains({{0}}, {{1}}) OR {{0}} IS NULL THEN {{0}}[{{1}}] ELSE error({missing}) END"
            return Typed(Text(this=text, expressions=nodes), base.type.value)
        if base.type is not None and base.type.base == "row":
            at = int(node.expressions[0].name) - 1
            name, field_type = base.type.fields[at]
            return Typed(_extract_field(base.node, name, at), field_type)
        wrong = "'" + raising(
            "INVALID_FUNCTION_ARGUMENT", "Array subscript must be less than or equal to array length"
        ) + "'"  # fmt: skip
        inside = "{1} BETWEEN 1 AND len({0}) OR {0} IS NULL OR {1} IS NULL"
        text = f"CASE WHEN {inside} THEN {{0}}[{{1}}] ELSE error({wrong}) END"
        kind = base.type.element if base.type is not None and base.type.base == "array" else None
        return Typed(Text(this=text, expressions=nodes), kind)

    # dates, text with a grammar of its own

    def _interval(self, node: exp.Interval, scope: Scope) -> Typed:
        unit = node.args.get("unit")
        if unit is None or not isinstance(node.this, exp.Literal):
            return self._refuse(node, scope)
        name = unit.this.name if isinstance(unit, exp.IntervalSpan) else unit.name
        kind = "interval year to month" if name.upper() in {"YEAR", "MONTH"} else "interval day to second"
        if isinstance(unit, exp.IntervalSpan):
            return self._refuse(node, scope)
        return Typed(Text(this=f"INTERVAL '{node.this.name}' {name.upper()}"), AthenaType(kind))

    def _at_time_zone(self, node: exp.AtTimeZone, scope: Scope) -> Typed:
        """The instant stays: values here are kept and shown in UTC, whatever zone they are asked in."""
        inner = self.translate(node.this, scope)
        zone = self.translate(node.args["zone"], scope)
        if inner.type is not None and inner.type.base == "timestamp with time zone":
            if isinstance(node.args["zone"], exp.Literal) and node.args["zone"].name.upper() in {
                "UTC",
                "GMT",
                "Z",
            }:
                return inner
            text = "AT TIME ZONE other than UTC is not supported on timestamp with time zone"
            raise QueryError("NOT_SUPPORTED", text, position=position_of(node))
        text = "timezone({1}, CAST({0} AS TIMESTAMP))"
        return Typed(Text(this=text, expressions=[_operand(inner.node), zone.node]), TIMESTAMP_TZ)

    def _extract(self, node: exp.Extract, scope: Scope) -> Typed:
        name = node.this.name.lower()
        if name not in _EXTRACTS:
            raise QueryError("SYNTAX_ERROR", f"Invalid EXTRACT field: {name}", position=position_of(node))
        return self._call(name, [node.expression], node, scope)

    def _trim(self, node: exp.Trim, scope: Scope) -> Typed:
        position = str(node.args.get("position") or "").upper()
        name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(position, "trim")
        parts = [self.translate(node.this, scope)]
        if node.expression is not None:
            parts.append(self.translate(node.expression, scope))
        holes = ", ".join(f"{{{index}}}" for index in range(len(parts)))
        return Typed(Text(this=f"{name}({holes})", expressions=[part.node for part in parts]), VARCHAR)

    def _substring(self, node: exp.Substring, scope: Scope) -> Typed:
        items = [node.this, node.args.get("start"), node.args.get("length")]
        return self._call("substr", [item for item in items if item is not None], node, scope)

    def _position(self, node: exp.StrPosition, scope: Scope) -> Typed:
        return self._call("strpos", [node.this, node.args["substr"]], node, scope)

    def _listagg(self, node: exp.GroupConcat, scope: Scope) -> Typed:
        separator = node.args.get("separator")
        value, order = node.this, ""
        nodes: list[exp.Expression] = []
        if isinstance(value, exp.Order):
            ordered = self._ordered_argument(exp.Order(this=exp.Null(), expressions=value.expressions), scope)
            nodes.append(ordered.node.expressions[1] if len(ordered.node.expressions) > 1 else ordered.node)
            order = " ORDER BY {2}"
            value = value.this
        inner = self.translate(value, scope)
        mark = self.translate(separator, scope).node if separator is not None else exp.Literal.string("")
        return Typed(
            Text(this="string_agg({0}, {1}" + order + ")", expressions=[inner.node, mark, *nodes]), VARCHAR
        )

    # calls

    def _call(
        self, name: str, arguments: Sequence[exp.Expression], node: exp.Expression, scope: Scope
    ) -> Typed:
        call, wrap = self._raw_call(name, arguments, node, scope)
        return wrap(call)

    def _raw_call(
        self, name: str, arguments: Sequence[exp.Expression], node: exp.Expression, scope: Scope
    ) -> tuple[Typed, Callable[[Typed], Typed]]:
        """Return the bare call, and what turns it (with its FILTER and OVER) into the value Trino has."""
        if name == "row":
            return self._row(exp.Tuple(expressions=list(arguments)), scope), lambda typed: typed
        if name in _LAMBDA_FUNCTIONS:
            return self._with_lambda(name, arguments, node, scope), lambda typed: typed
        function = FUNCTIONS.get(name)
        if function is None:
            raise QueryError(
                "FUNCTION_NOT_FOUND", f"Function '{name}' not registered", position=position_of(node)
            )
        parts = self._all(arguments, scope)
        types = [part.type for part in parts]
        if len(parts) < function.least or (function.most is not None and len(parts) > function.most):
            self._unexpected(name, types, node)
        self._check_arguments(name, types, node)
        if name == "typeof" and types[0] is not None:
            return Typed(exp.Literal.string(types[0].trino()), VARCHAR), lambda typed: typed
        call = Typed(
            Text(this=_fill(function, types), expressions=[part.node for part in parts]),
            function.result(types),
        )
        wrapper = function.wrap(types) if callable(function.wrap) else function.wrap

        def wrap(typed: Typed) -> Typed:
            if wrapper == "{0}":
                return typed
            return Typed(Text(this=wrapper, expressions=[typed.node]), typed.type)

        return call, wrap

    def _unexpected(self, name: str, types: Sequence[Type], node: exp.Expression) -> None:
        shown = ", ".join(str(kind) if kind else "unknown" for kind in types)
        text = f"Unexpected parameters ({shown}) for function {name}"
        raise QueryError("FUNCTION_NOT_FOUND", text, position=position_of(node))

    def _check_arguments(self, name: str, types: Sequence[Type], node: exp.Expression) -> None:
        """Refuse the argument types that DuckDB would convert in silence and Trino has no signature for."""
        wanted = _ARGUMENT_FAMILIES.get(name)
        if wanted is None:
            return
        for kind, family in zip(types, wanted, strict=False):
            if kind is not None and kind.base != "unknown" and family and _family(kind) not in family:
                self._unexpected(name, types, node)

    def _with_lambda(
        self, name: str, arguments: Sequence[exp.Expression], node: exp.Expression, scope: Scope
    ) -> Typed:
        values = [item for item in arguments if not isinstance(item, exp.Lambda)]
        lambdas = [item for item in arguments if isinstance(item, exp.Lambda)]
        if not values or not lambdas:
            raise QueryError(
                "FUNCTION_NOT_FOUND", f"Unexpected parameters for function {name}", position=position_of(node)
            )
        parts = self._all(values, scope)
        source = parts[0].type
        if name == "reduce":
            return self._reduce(parts, lambdas, scope)
        if source is not None and source.base == "map":
            return self._map_lambda(name, parts[0], lambdas[0], scope)
        item = source.element if source is not None and source.base == "array" else None
        if name == "zip_with":
            other = (
                parts[1].type.element if parts[1].type is not None and parts[1].type.base == "array" else None
            )
            body, names = self._lambda(lambdas[0], [item, other], scope)
            pair = quote("_pair")
            text = f"list_transform(list_zip({{0}}, {{1}}), LAMBDA {pair} : {{2}})"
            inner = _rename(body.node, {names[0]: f"{pair}[1]", names[1]: f"{pair}[2]"})
            kind = array_of(body.type) if body.type else None
            return Typed(Text(this=text, expressions=[parts[0].node, parts[1].node, inner]), kind)
        body, names = self._lambda(lambdas[0], [item], scope)
        function = FUNCTIONS[name]
        arrow = Text(this=f"LAMBDA {quote(names[0])} : {{0}}", expressions=[body.node])
        result = function.result([source, body.type])
        return Typed(Text(this=str(function.template), expressions=[parts[0].node, arrow]), result)

    def _map_lambda(self, name: str, source: Typed, arrow: exp.Lambda, scope: Scope) -> Typed:
        assert source.type is not None
        body, names = self._lambda(arrow, [source.type.key, source.type.value], scope)
        entry = quote("_entry")
        inner = _rename(body.node, {names[0]: f"{entry}.key", names[1]: f"{entry}.value"})
        if name == "map_filter":
            text = f"map_from_entries(list_filter(map_entries({{0}}), LAMBDA {entry} : {{1}}))"
            return Typed(Text(this=text, expressions=[source.node, inner]), source.type)
        key, value = (f"{entry}.key", "{1}") if name == "transform_values" else ("{1}", f"{entry}.value")
        pair = "{" + f"'key': {key}, 'value': {value}" + "}"
        text = f"map_from_entries(list_transform(map_entries({{0}}), LAMBDA {entry} : {pair}))"
        kinds = (source.type.key, body.type) if name == "transform_values" else (body.type, source.type.value)
        kind = map_of(*kinds) if kinds[0] and kinds[1] else None
        return Typed(Text(this=text, expressions=[source.node, inner]), kind)

    def _reduce(self, parts: list[Typed], lambdas: list[exp.Lambda], scope: Scope) -> Typed:
        source, state = parts[0].type, parts[1].type
        item = source.element if source is not None and source.base == "array" else None
        body, names = self._lambda(lambdas[0], [state, item], scope)
        last, last_names = self._lambda(lambdas[1], [state], scope)
        step = Text(this=f"LAMBDA {quote(names[0])}, {quote(names[1])} : {{0}}", expressions=[body.node])
        text = f"list_reduce({{0}}, {{1}}, {_cast_initial(body.type)})"
        folded = Text(this=text, expressions=[parts[0].node, step, parts[1].node])
        final = Text(
            this=f"list_transform([{{0}}], LAMBDA {quote(last_names[0])} : {{1}})[1]",
            expressions=[folded, last.node],
        )
        return Typed(final, last.type)

    def _lambda(self, node: exp.Lambda, types: Sequence[Type], scope: Scope) -> tuple[Typed, list[str]]:
        names = [item.name.lower() for item in node.expressions]
        if len(names) != len(types):
            text = f"Expected a lambda that takes {len(types)} argument(s)"
            raise QueryError("TYPE_MISMATCH", text, position=position_of(node))
        return self.translate(node.this, scope.with_lambdas(dict(zip(names, types, strict=True)))), names

    # aggregates and windows

    def _aggregate(self, node: exp.Expression, scope: Scope) -> tuple[Typed, Callable[[Typed], Typed]]:
        if isinstance(node, exp.Anonymous):
            return self._raw_call(node.name.lower(), node.expressions, node, scope)
        if isinstance(node, exp.Filter):
            call, wrap = self._aggregate(node.this, scope)
            condition = self.translate(node.expression.this, scope)
            return Typed(
                Text(this="{0} FILTER (WHERE {1})", expressions=[call.node, condition.node]), call.type
            ), wrap
        if isinstance(node, (exp.IgnoreNulls, exp.RespectNulls)):
            call, wrap = self._aggregate(node.this, scope)
            words = "IGNORE NULLS" if isinstance(node, exp.IgnoreNulls) else "RESPECT NULLS"
            text = str(call.node.this)
            return Typed(
                Text(this=f"{text[:-1]} {words})", expressions=call.node.expressions), call.type
            ), wrap
        return self.translate(node, scope), lambda typed: typed

    def _filter(self, node: exp.Filter, scope: Scope) -> Typed:
        call, wrap = self._aggregate(node, scope)
        return wrap(call)

    def _null_treatment(self, node: exp.Expression, scope: Scope) -> Typed:
        call, wrap = self._aggregate(node, scope)
        return wrap(call)

    def _window(self, node: exp.Window, scope: Scope) -> Typed:
        call, wrap = self._aggregate(node.this, scope)
        if node.args.get("alias"):
            name = quote(node.args["alias"].name)
            return wrap(Typed(Text(this=f"{{0}} OVER {name}", expressions=[call.node]), call.type))
        frame = self.window(node, scope)
        return wrap(Typed(Text(this="{0} OVER ({1})", expressions=[call.node, frame]), call.type))

    def window(self, node: exp.Expression, scope: Scope) -> exp.Expression:
        """Return the inside of OVER (…)."""
        pieces, nodes = [], []
        partitions = self._all(node.args.get("partition_by") or [], scope)
        if partitions:
            pieces.append("PARTITION BY " + ", ".join(f"{{{index}}}" for index in range(len(partitions))))
            nodes += [part.node for part in partitions]
        order = node.args.get("order")
        if order is not None:
            pieces.append(f"ORDER BY {{{len(nodes)}}}")
            nodes.append(self.ordering(order.expressions, scope))
        spec = node.args.get("spec")
        if spec is not None:
            pieces.append(spec.sql(dialect=AthenaSQL))
        return Text(this=" ".join(pieces), expressions=nodes)

    def ordering(self, items: Sequence[exp.Expression], scope: Scope) -> exp.Expression:
        nodes = [self.translate(item.this, scope).node for item in items]
        pieces = [f"{{{index}}}{direction(item)}" for index, item in enumerate(items)]
        return Text(this=", ".join(pieces), expressions=nodes)

    def _distinct(self, node: exp.Distinct, scope: Scope) -> Typed:
        if node.args.get("on"):
            return self._refuse(node, scope)
        parts = self._all(node.expressions, scope)
        if len(parts) > 1:  # count(DISTINCT a, b) is not Trino's
            return self._refuse(node, scope)
        return Typed(Text(this="DISTINCT {0}", expressions=[parts[0].node]), parts[0].type)

    def _ordered_argument(self, node: exp.Order, scope: Scope) -> Typed:
        inner = self.translate(node.this, scope)
        order = self.ordering(node.expressions, scope)
        return Typed(Text(this="{0} ORDER BY {1}", expressions=[inner.node, order]), inner.type)

    # casts

    def _cast(self, node: exp.Cast, scope: Scope) -> Typed:
        inner = self.translate(node.this, scope)
        try:
            target = parse_type(node.to.sql(dialect=AthenaSQL))
        except ValueError:
            name = node.to.sql(dialect=AthenaSQL).lower()
            raise QueryError("TYPE_NOT_FOUND", f"Unknown type: {name}", position=position_of(node)) from None
        from athena_local.sql.casts import cast

        if isinstance(node.this, exp.Literal) and node.this.is_string and target.base == "timestamp":
            target = _literal_timestamp(node.this.name, target)
        return Typed(cast(inner, target, safe=isinstance(node, exp.TryCast), node=node), target)


_TEXT = {"text"}
_NUMBER = {"number"}
_TIME = {"time"}
_ARGUMENT_FAMILIES: dict[str, list[set[str]]] = {
    **{
        name: [_TEXT] for name in ("lower", "upper", "trim", "ltrim", "rtrim", "from_iso8601_date", "to_utf8")
    },
    **{
        name: [_TEXT, _TEXT]
        for name in ("strpos", "starts_with", "split", "regexp_like", "regexp_extract", "date_parse")
    },
    "from_iso8601_timestamp": [_TEXT],
    "replace": [_TEXT, _TEXT, _TEXT],
    "regexp_replace": [_TEXT, _TEXT, _TEXT],
    "substr": [_TEXT | {"binary"}, _NUMBER, _NUMBER],
    "length": [_TEXT | {"binary"}],
    "md5": [{"binary"}],
    "sha1": [{"binary"}],
    "sha256": [{"binary"}],
    "xxhash64": [{"binary"}],
    "to_hex": [{"binary"}],
    "from_utf8": [{"binary"}],
    **{
        name: [_NUMBER]
        for name in ("abs", "sqrt", "ln", "exp", "round", "floor", "ceil", "ceiling", "from_unixtime")
    },
    **{name: [_NUMBER | {"interval"}] for name in ("sum", "avg")},
    **{
        name: [_TIME]
        for name in ("year", "month", "day", "quarter", "week", "day_of_week", "day_of_year", "to_unixtime")
    },
    "date_trunc": [_TEXT, _TIME],
    "date_add": [_TEXT, _NUMBER, _TIME],
    "date_diff": [_TEXT, _TIME, _TIME],
    "date_format": [_TIME, _TEXT],
    "bool_and": [{"boolean"}],
    "bool_or": [{"boolean"}],
    "count_if": [{"boolean"}],
}


def _family(kind: AthenaType) -> str:
    if kind.is_numeric:
        return "number"
    if kind.base in {"varchar", "char"}:
        return "text"
    if kind.base in _TIME_FAMILY:
        return "time"
    if kind.base.startswith("interval"):
        return "interval"
    return {"varbinary": "binary"}.get(kind.base, kind.base)


def _reference(alias: str | None, ref: str) -> exp.Expression:
    return exp.column(
        exp.to_identifier(ref, quoted=True), table=exp.to_identifier(alias, quoted=True) if alias else None
    )


def _field(base: Typed, name: str, position: Any) -> Typed:
    if base.type is None:
        return Typed(_extract_field(base.node, name, None), None)
    if base.type.base == "row":
        for index, (field, kind) in enumerate(base.type.fields):
            if field.lower() == name.lower():
                return Typed(_extract_field(base.node, field, index), kind)
    text = (
        f"Column '{name}' cannot be resolved"
        if base.type.base == "row"
        else f"Expression is not of type ROW: {base.type}"
    )
    code = "COLUMN_NOT_FOUND" if base.type.base == "row" else "TYPE_MISMATCH"
    raise QueryError(code, text, position=position)


def _extract_field(node: exp.Expression, name: str, index: int | None) -> exp.Expression:
    field = "'" + name.replace("'", "''") + "'" if name else str((index or 0) + 1)
    return Text(this=f"struct_extract({{0}}, {field})", expressions=[node])


def _operand(node: exp.Expression) -> exp.Expression:
    """Return the node so that an operator may stand beside it."""
    if isinstance(node, Text):
        text = str(node.this)
        if text.startswith(("CASE", "DISTINCT")) or " OVER " in text or " FILTER " in text:
            return Text(this="({0})", expressions=[node])
    return node


def direction(item: exp.Expression) -> str:
    """Return ` DESC NULLS LAST` and the like: Trino puts nulls last in both directions unless told otherwise."""
    if not isinstance(item, exp.Ordered):
        return " NULLS LAST"
    return f"{' DESC' if item.args.get('desc') else ''} NULLS {'FIRST' if item.args.get('nulls_first') else 'LAST'}"


def _literal_timestamp(text: str, target: AthenaType) -> AthenaType:
    """A literal that names a zone is a timestamp with time zone: TIMESTAMP '2025-01-01 00:00:00 UTC'."""
    zoned = _ZONE.search(text) is not None
    return AthenaType("timestamp with time zone", target.precision) if zoned else target


def _fill(function: Function, types: Sequence[Type]) -> str:
    text = function.template(types) if callable(function.template) else function.template
    holes = ", ".join(f"{{{index}}}" for index in range(len(types)))
    nulls = " OR ".join(f"{{{index}}} IS NULL" for index in range(len(types)))
    return text.replace("{*}", holes).replace("{null}", nulls).replace("{{", "{").replace("}}", "}")


def _decimal_result(left: AthenaType, right: AthenaType, sign: str) -> AthenaType:
    p1, s1, p2, s2 = left.precision or 38, left.scale or 0, right.precision or 38, right.scale or 0
    if sign == "*":
        return AthenaType("decimal", min(38, p1 + p2), min(38, s1 + s2))
    if sign == "/":
        scale = max(s1, s2)
        return AthenaType("decimal", min(38, p1 + s2 + max(s2 - s1, 0)), scale)
    if sign == "%":
        return AthenaType("decimal", min(p2 - s2, p1 - s1) + max(s1, s2), max(s1, s2))
    scale = max(s1, s2)
    return AthenaType("decimal", min(38, max(p1 - s1, p2 - s2) + scale + 1), scale)


def _arithmetic_text(left: Type, right: Type, sign: str, kind: Type) -> str:
    if left is None or right is None or kind is None:
        return f"({{0}} {sign} {{1}})"
    zero = "error('" + raising("DIVISION_BY_ZERO", "Division by zero") + "')"
    if kind.base == "decimal" and sign in "/%" and left.is_numeric and right.is_numeric:
        divided = f"CAST({{0}} AS DOUBLE) {sign} CAST({{1}} AS DOUBLE)" if sign == "/" else "{0} % {1}"
        return f"CASE WHEN {{1}} = 0 THEN {zero} ELSE CAST({divided} AS {kind.duckdb()}) END"
    if sign == "/" and kind.is_integer:
        return "({0} // {1})"
    if left == right == DATE:
        return "to_days(CAST({0} - {1} AS INTEGER))"
    if kind == DATE:
        return f"CAST(({{0}} {sign} {{1}}) AS DATE)"
    if kind.base == "decimal":
        return f"CAST(({{0}} {sign} {{1}}) AS {kind.duckdb()})"
    return f"({{0}} {sign} {{1}})"


def _cast_initial(kind: Type) -> str:
    return f"CAST({{2}} AS {kind.duckdb()})" if kind is not None and kind.base != "unknown" else "{2}"


def _rename(node: exp.Expression, names: dict[str, str]) -> exp.Expression:
    """Put what a lambda's parameter stands for in its place."""
    marks = {quote(name): text for name, text in names.items()}
    for item in list(node.find_all(Text)):
        if str(item.this) in marks and not item.expressions:
            item.set("this", marks[str(item.this)])
    return node


__all__ = ["Expressions", "direction"]
