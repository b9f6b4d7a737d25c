"""Function calls: looked up in the tables of `sql/functions`, their signature found and their arguments coerced to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.coercion import Type, coerced
from athena_local.sql.dialect import Text
from athena_local.sql.expressions.constructors import row
from athena_local.sql.expressions.lambdas import translate_lambda
from athena_local.sql.expressions.operands import operand
from athena_local.sql.functions import FUNCTIONS, UNSUPPORTED, Function
from athena_local.sql.functions.signatures import LAMBDA, Bound, Call, resolve
from athena_local.sql.scope import Scope, Typed, position_of
from athena_local.sql.zones import refuse_by_row

if TYPE_CHECKING:
    from athena_local.sql.expressions.dispatch import Expressions


@dataclass
class _Modifiers:
    """What may stand inside an aggregate's parentheses besides its arguments."""

    distinct: bool = False
    order: list[exp.Expression] = field(default_factory=list)


def call(
    build: Expressions, name: str, arguments: Sequence[exp.Expression], node: exp.Expression, scope: Scope
) -> Typed:
    function = FUNCTIONS.get(name)
    if function is not None and function.window:
        raise QueryError(
            "MISSING_OVER", f"Window function {name} requires an OVER clause", position=position_of(node)
        )
    call, wrap = raw_call(build, name, arguments, node, scope)
    return wrap(call)


def raw_call(
    build: Expressions, name: str, arguments: Sequence[exp.Expression], node: exp.Expression, scope: Scope
) -> tuple[Typed, Callable[[Typed], Typed]]:
    """Return the bare call, and what turns it (with its FILTER and OVER) into the value Trino has."""
    if name == "row":
        return row(build, exp.Tuple(expressions=list(arguments)), scope), lambda typed: typed
    function = known_function(name, node)
    arguments, modifiers = _plain_arguments(function, arguments, node)
    parts = [
        Typed(exp.Null(), LAMBDA) if isinstance(item, exp.Lambda) else build.translate(item, scope)
        for item in arguments
    ]
    types = [part.type for part in parts]
    bound = resolve(function, types)
    if bound is None:
        raise unexpected(function, types, node)
    bound = _with_lambdas(build, function, bound, arguments, parts, scope, node)
    formal = [bound.type_of(pattern, kind) for pattern, kind in zip(bound.patterns, types, strict=True)]
    ready = [
        part if kind is LAMBDA else Typed(_argument(function, part, kind), kind or part.type)
        for part, kind in zip(parts, formal, strict=True)
    ]
    made = _made(Call(ready, formal, types, arguments, bound.returns, node), bound)
    if function.aggregate and (modifiers.distinct or modifiers.order or name in _BY_VALUE):
        made = _modified(build, made, modifiers, ready, scope, node)
    wrapper = function.wrap(formal) if callable(function.wrap) else function.wrap
    if wrapper == "{0}":
        return made, lambda typed: typed
    filled = _filled(wrapper, 1)
    return made, lambda typed: Typed(Text(this=filled, expressions=[typed.node]), typed.type)


_BY_VALUE = {"approx_distinct", "histogram", "map_agg", "multimap_agg"}  # tell values apart by themselves


def known_function(name: str, node: exp.Expression) -> Function:
    function = FUNCTIONS.get(name)
    if function is not None:
        return function
    if name in UNSUPPORTED:
        text = f"Function '{name}' is not supported by this server"
        raise QueryError("NOT_SUPPORTED", text, position=position_of(node))
    raise QueryError("FUNCTION_NOT_FOUND", f"Function '{name}' not registered", position=position_of(node))


def unexpected(function: Function, types: Sequence[Type], node: exp.Expression) -> QueryError:
    shown = ", ".join("<function>" if kind is LAMBDA else str(kind) if kind else "unknown" for kind in types)
    text = f"Unexpected parameters ({shown}) for function {function.name}. Expected: {function.expected()}"
    return QueryError("FUNCTION_NOT_FOUND", text, position=position_of(node))


def _plain_arguments(
    function: Function, arguments: Sequence[exp.Expression], node: exp.Expression
) -> tuple[list[exp.Expression], _Modifiers]:
    """Take DISTINCT, ORDER BY and the `*` of count(*) off the arguments, where sqlglot hangs them."""
    modifiers, plain = _Modifiers(), list[exp.Expression]()
    for item in arguments:
        if isinstance(item, exp.Order):
            modifiers.order = list(item.expressions)
            item = item.this
        if isinstance(item, exp.Distinct):
            modifiers.distinct = True
            plain += item.expressions
        elif not isinstance(item, exp.Star):
            plain.append(item)
        elif function.name != "count":
            raise QueryError(
                "SYNTAX_ERROR", f"mismatched input '*' in {function.name}", position=position_of(node)
            )
    if (modifiers.distinct or modifiers.order) and not function.aggregate:
        word = "DISTINCT" if modifiers.distinct else "ORDER BY"
        text = f"{word} is not supported for non-aggregation functions"
        raise QueryError("FUNCTION_NOT_AGGREGATE", text, position=position_of(node))
    return plain, modifiers


def _argument(function: Function, part: Typed, kind: Type) -> exp.Expression:
    node = coerced(part.node, part.type, kind)
    return node if function.aggregate else operand(node)


def _with_lambdas(
    build: Expressions,
    function: Function,
    bound: Bound,
    arguments: Sequence[exp.Expression],
    parts: list[Typed],
    scope: Scope,
    node: exp.Expression,
) -> Bound:
    """Translate the lambdas from left to right, each finding variables for the next; their nodes go into `parts`."""
    for index, item in enumerate(arguments):
        if not isinstance(item, exp.Lambda):
            continue
        made = translate_lambda(build, function.name, index, item, bound, scope)
        if made is None:
            types = [part.type for part in parts]
            raise unexpected(function, types, node)
        parts[index] = Typed(made, LAMBDA)
    return bound


def _made(call: Call, bound: Bound) -> Typed:
    template = bound.overload.template
    text = template(call) if callable(template) else template
    if isinstance(text, Typed):
        return text
    nodes = [part.node for part in call.parts]
    return Typed(Text(this=_filled(text, len(nodes)), expressions=nodes), call.returns)


def _modified(
    build: Expressions,
    made: Typed,
    modifiers: _Modifiers,
    parts: list[Typed],
    scope: Scope,
    node: exp.Expression,
) -> Typed:
    for part in parts[:1] if modifiers.distinct or not modifiers.order else []:
        refuse_by_row(part.type, "DISTINCT", position_of(node))
    text, nodes = str(made.node.this), list(made.node.expressions)
    if modifiers.distinct and "(DISTINCT " not in text:
        text = text.replace("(", "(DISTINCT ", 1)
    if modifiers.order:
        from athena_local.sql.expressions.windows import ordering

        text = f"{text[:-1]} ORDER BY {{{len(nodes)}}})"
        nodes.append(ordering(build, modifiers.order, scope))
    return Typed(Text(this=text, expressions=nodes), made.type)


def _filled(text: str, count: int) -> str:
    holes = ", ".join(f"{{{index}}}" for index in range(count))
    joined = " || ".join(f"{{{index}}}" for index in range(count))
    nulls = " OR ".join(f"{{{index}}} IS NULL" for index in range(count))
    text = text.replace("{*}", holes).replace("{||}", joined).replace("{null}", nulls)
    return text.replace("{{", "{").replace("}}", "}")
