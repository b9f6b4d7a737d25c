"""Scalar expressions: names resolved, types worked out as far as they are known, and DuckDB's equivalent built.

Every kind of node that is allowed has a handler in the table here, found in the module of its kind; one that has none is
refused, so DuckDB's own syntax cannot slip through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlglot import exp

from athena_local.config import CATALOG_NAME
from athena_local.sql.coercion import Type
from athena_local.sql.dialect import Text
from athena_local.sql.expressions import (
    calls,
    conditionals,
    constructors,
    literals,
    names,
    operands,
    operators,
    predicates,
    special_forms,
    windows,
)
from athena_local.sql.scope import Scope, Typed
from athena_local.types import BOOLEAN, DATE, UNKNOWN, VARBINARY, VARCHAR

Handler = Callable[["Expressions", Any, Scope], Typed]
Subquery = Callable[[exp.Expression, Scope], tuple[exp.Expression, list[Type]]]


class Expressions:
    """`subquery` translates a query nested in an expression; it returns its tree and its columns' types."""

    def __init__(self, subquery: Subquery, database: str) -> None:
        self.subquery = subquery
        self.database = database
        self._lambdas = 0

    def fresh_lambda(self) -> int:
        """Return a number that no lambda of this statement has yet: nested ones must not hide each other's parameters."""
        self._lambdas += 1
        return self._lambdas

    def translate(self, node: exp.Expression, scope: Scope) -> Typed:
        return _HANDLERS.get(type(node), operands.refuse)(self, node, scope)

    def all(self, nodes: Sequence[exp.Expression], scope: Scope) -> list[Typed]:
        return [self.translate(node, scope) for node in nodes]


def normal_form(node: exp.Normalize) -> list[exp.Expression]:
    """NORMALIZE(text, NFD): the form is a bare word to Trino, an argument here."""
    form = node.args.get("form")
    return [node.this] if not form else [node.this, exp.Literal.string(form.name)]


_HANDLERS: dict[type, Handler] = {
    exp.Column: names.column,
    exp.Identifier: names.lambda_name,
    exp.Dot: names.dot,
    exp.Literal: literals.literal,
    exp.UnicodeString: literals.unicode_text,
    exp.Boolean: lambda _build, node, _scope: Typed(node.copy(), BOOLEAN),
    exp.Null: lambda _build, node, _scope: Typed(node.copy(), UNKNOWN),
    exp.Paren: operators.paren,
    exp.Cast: special_forms.cast,
    exp.TryCast: special_forms.cast,
    exp.And: operators.logical,
    exp.Or: operators.logical,
    exp.Not: operators.not_,
    exp.Neg: operators.negative,
    exp.Between: predicates.between,
    exp.In: predicates.in_,
    exp.Is: predicates.is_,
    exp.NullSafeEQ: predicates.distinct_from,
    exp.NullSafeNEQ: predicates.distinct_from,
    exp.Like: predicates.like,
    exp.Escape: predicates.escape,
    exp.DPipe: operators.concatenation,
    exp.Case: conditionals.case,
    exp.If: conditionals.if_,
    exp.Exists: predicates.exists,
    exp.Subquery: constructors.scalar_subquery,
    exp.Any: predicates.quantified,
    exp.All: predicates.quantified,
    exp.Array: constructors.array,
    exp.Tuple: constructors.row,
    exp.Bracket: constructors.subscript,
    exp.Interval: literals.interval,
    exp.AtTimeZone: special_forms.at_time_zone,
    exp.Extract: special_forms.extract,
    exp.Trim: special_forms.trim,
    exp.Substring: special_forms.substring,
    exp.StrPosition: special_forms.position,
    exp.Normalize: lambda build, node, scope: calls.call(build, "normalize", normal_form(node), node, scope),
    exp.GroupConcat: windows.listagg,
    exp.CurrentDate: lambda *_: Typed(Text(this="current_date"), DATE),
    exp.CurrentTimestamp: special_forms.now,
    exp.Localtimestamp: special_forms.now,
    exp.CurrentTime: special_forms.now,
    exp.Localtime: special_forms.now,
    exp.CurrentCatalog: lambda *_: Typed(exp.Literal.string(CATALOG_NAME.lower()), VARCHAR),
    exp.CurrentSchema: lambda build, _node, _scope: Typed(exp.Literal.string(build.database), VARCHAR),
    exp.CurrentUser: lambda *_: Typed(Text(this="'athena'"), VARCHAR),
    exp.HexString: lambda _build, node, _scope: Typed(Text(this=f"unhex('{node.this}')"), VARBINARY),
    exp.ParseJSON: lambda build, node, scope: calls.call(build, "json_parse", [node.this], node, scope),
    exp.Anonymous: lambda build, node, scope: (
        special_forms.now(build, node, scope)
        if node.name.lower() in special_forms.NOW
        else calls.call(build, node.name.lower(), node.expressions, node, scope)
    ),
    exp.Window: windows.over,
    exp.Filter: windows.filter_,
    exp.Star: lambda *_: Typed(exp.Star(), None),
    exp.WithinGroup: operands.refuse,
    exp.IgnoreNulls: windows.null_treatment,
    exp.RespectNulls: windows.null_treatment,
    **dict.fromkeys(operators.COMPARISONS, operators.compare),
    **dict.fromkeys(operators.ARITHMETIC, operators.arithmetic),
}
