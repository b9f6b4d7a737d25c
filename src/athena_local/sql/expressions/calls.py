"""Function calls: looked up in the tables of `sql/functions`, arguments counted and their types checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.coercion import Type, family
from athena_local.sql.dialect import Text
from athena_local.sql.expressions.constructors import row
from athena_local.sql.expressions.lambdas import with_lambda
from athena_local.sql.functions import ARGUMENT_FAMILIES, FUNCTIONS, Function
from athena_local.sql.scope import Scope, Typed, position_of
from athena_local.types import (
    VARCHAR,
)

if TYPE_CHECKING:
    from athena_local.sql.expressions.dispatch import Expressions


_LAMBDA_FUNCTIONS = {
    "transform", "filter", "any_match", "all_match", "none_match", "map_filter", "reduce", "transform_values",
    "transform_keys", "zip_with",
}  # fmt: skip


def call(
    build: Expressions, name: str, arguments: Sequence[exp.Expression], node: exp.Expression, scope: Scope
) -> Typed:
    call, wrap = raw_call(build, name, arguments, node, scope)
    return wrap(call)


def raw_call(
    build: Expressions, name: str, arguments: Sequence[exp.Expression], node: exp.Expression, scope: Scope
) -> tuple[Typed, Callable[[Typed], Typed]]:
    """Return the bare call, and what turns it (with its FILTER and OVER) into the value Trino has."""
    if name == "row":
        return row(build, exp.Tuple(expressions=list(arguments)), scope), lambda typed: typed
    if name in _LAMBDA_FUNCTIONS:
        return with_lambda(build, name, arguments, node, scope), lambda typed: typed
    function = FUNCTIONS.get(name)
    if function is None:
        raise QueryError(
            "FUNCTION_NOT_FOUND", f"Function '{name}' not registered", position=position_of(node)
        )
    parts = build.all(arguments, scope)
    types = [part.type for part in parts]
    if len(parts) < function.least or (function.most is not None and len(parts) > function.most):
        unexpected(name, types, node)
    check_arguments(name, types, node)
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


def unexpected(name: str, types: Sequence[Type], node: exp.Expression) -> None:
    shown = ", ".join(str(kind) if kind else "unknown" for kind in types)
    text = f"Unexpected parameters ({shown}) for function {name}"
    raise QueryError("FUNCTION_NOT_FOUND", text, position=position_of(node))


def check_arguments(name: str, types: Sequence[Type], node: exp.Expression) -> None:
    """Refuse the argument types that DuckDB would convert in silence and Trino has no signature for."""
    wanted = ARGUMENT_FAMILIES.get(name)
    if wanted is None:
        return
    for kind, families in zip(types, wanted, strict=False):
        if kind is not None and kind.base != "unknown" and families and family(kind) not in families:
            unexpected(name, types, node)


def _fill(function: Function, types: Sequence[Type]) -> str:
    text = function.template(types) if callable(function.template) else function.template
    holes = ", ".join(f"{{{index}}}" for index in range(len(types)))
    nulls = " OR ".join(f"{{{index}}} IS NULL" for index in range(len(types)))
    return text.replace("{*}", holes).replace("{null}", nulls).replace("{{", "{").replace("}}", "}")
