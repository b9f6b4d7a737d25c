"""Predicates: what of an Athena WHERE can prune files, as a PyIceberg expression. Best effort and always safe.

Only comparisons of a bare column with a literal are taken, joined by AND and OR; anything else means "may match".
A part under NOT is left out too, because leaving out is only safe where the result can grow.
"""

from __future__ import annotations

import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from pyiceberg import expressions as ice
from pyiceberg import types
from sqlglot import exp

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyiceberg.schema import Schema

_COMPARISONS: dict[type[exp.Expression], tuple[Any, Any]] = {  # operator and the one with its sides swapped
    exp.EQ: (ice.EqualTo, ice.EqualTo),
    exp.LT: (ice.LessThan, ice.GreaterThan),
    exp.LTE: (ice.LessThanOrEqual, ice.GreaterThanOrEqual),
    exp.GT: (ice.GreaterThan, ice.LessThan),
    exp.GTE: (ice.GreaterThanOrEqual, ice.LessThanOrEqual),
}


def to_filter(predicate: exp.Expression | None, schema: Schema) -> ice.BooleanExpression:
    """Return an expression that is true wherever the predicate may be."""
    if predicate is None:
        return ice.AlwaysTrue()
    try:
        found = _convert(predicate, schema)
    except RecursionError:  # hundreds of ORs: pruning is not worth more than that
        found = None
    return found if found is not None else ice.AlwaysTrue()


def paths_of(predicate: exp.Expression | None, name: str) -> set[str] | None:
    """Return the files that conditions on the hidden column `name` leave; None when there are none of a kind known here."""
    found: set[str] | None = None
    for part in predicate.flatten() if isinstance(predicate, exp.And) else [predicate]:
        wanted = _texts(part, name)
        if wanted is not None:
            found = wanted if found is None else found & wanted
    return found


def _texts(node: Any, name: str) -> set[str] | None:
    """Return the values of `name = 'text'` and `name IN ('text', …)`."""
    if isinstance(node, exp.Paren):
        return _texts(node.this, name)
    if isinstance(node, exp.EQ):
        column, values = node.this, [node.expression]
    elif isinstance(node, exp.In) and not node.args.get("query"):
        column, values = node.this, node.expressions
    else:
        return None
    if not isinstance(column, exp.Column) or column.name.lower() != name:
        return None
    if not all(isinstance(value, exp.Literal) and value.is_string for value in values):
        return None
    return {value.this for value in values}


def _convert(node: Any, schema: Schema) -> ice.BooleanExpression | None:
    if isinstance(node, exp.Paren):
        return _convert(node.this, schema)
    if isinstance(node, exp.And):
        left, right = _convert(node.left, schema), _convert(node.right, schema)
        return ice.And(left, right) if left is not None and right is not None else left or right
    if isinstance(node, exp.Or):
        left, right = _convert(node.left, schema), _convert(node.right, schema)
        return ice.Or(left, right) if left is not None and right is not None else None
    if type(node) in _COMPARISONS:
        return _comparison(node, schema)
    if isinstance(node, exp.Between):
        low = _comparison(exp.GTE(this=node.this.copy(), expression=node.args["low"].copy()), schema)
        high = _comparison(exp.LTE(this=node.this.copy(), expression=node.args["high"].copy()), schema)
        return ice.And(low, high) if low is not None and high is not None else low or high
    if isinstance(node, exp.In) and node.expressions and not node.args.get("query"):
        return _in(node, schema)
    if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
        field = _field(node.this, schema)
        return ice.IsNull(term=ice.Reference(field.name)) if field else None
    return None


def _comparison(node: exp.Expression, schema: Schema) -> ice.BooleanExpression | None:
    make, swapped = _COMPARISONS[type(node)]
    field, value = _field(node.this, schema), node.expression
    if field is None:
        field, value, make = _field(node.expression, schema), node.this, swapped
    if field is None:
        return None
    literal = _literal(value, field.field_type)
    return None if literal is None else make(field.name, literal)


def _in(node: exp.In, schema: Schema) -> ice.BooleanExpression | None:
    field = _field(node.this, schema)
    if field is None:
        return None
    values = [_literal(value, field.field_type) for value in node.expressions]
    if any(value is None for value in values):
        return None
    return ice.In(term=ice.Reference(field.name), values=set(values))


def _field(node: exp.Expression, schema: Schema) -> types.NestedField | None:
    if not isinstance(node, exp.Column):
        return None
    for field in schema.fields:
        if field.name.lower() == node.name.lower() and field.field_type.is_primitive:
            return field
    return None


def _literal(node: exp.Expression, kind: Any) -> Any:
    """Return a literal as a value that compares with the column's type exactly as the engine would, or None."""
    negative = isinstance(node, exp.Neg)
    inner = node.this if negative else node
    if isinstance(inner, exp.Cast):
        return None if negative else _cast(inner, kind)
    if isinstance(inner, exp.Date) and isinstance(inner.this, exp.Literal):
        return (
            _attempt(lambda: datetime.date.fromisoformat(inner.name))
            if isinstance(kind, types.DateType)
            else None
        )
    if isinstance(inner, exp.Boolean):
        return inner.this if isinstance(kind, types.BooleanType) else None
    if not isinstance(inner, exp.Literal):
        return None
    if inner.is_string:
        return inner.this if isinstance(kind, types.StringType) and not negative else None
    return _number(f"-{inner.this}" if negative else inner.this, kind)


def _number(text: str, kind: Any) -> Any:
    if isinstance(kind, (types.IntegerType, types.LongType)):
        value = _attempt(lambda: int(text))
        limit = 2**31 if isinstance(kind, types.IntegerType) else 2**63
        return value if value is not None and -limit <= value < limit else None
    if isinstance(kind, types.DoubleType):
        return _attempt(lambda: float(text))
    if isinstance(kind, types.DecimalType):
        value = _attempt(lambda: Decimal(text))
        if value is None or -value.as_tuple().exponent > kind.scale:
            return None
        return _attempt(lambda: value.quantize(Decimal(1).scaleb(-kind.scale)))
    return None


def _cast(node: exp.Cast, kind: Any) -> Any:
    """DATE '…' and TIMESTAMP '…', which the parser makes casts of a string."""
    if not (isinstance(node.this, exp.Literal) and node.this.is_string):
        return None
    target, text = node.to.this, node.this.this.strip()
    if target == exp.DataType.Type.DATE:
        if isinstance(kind, types.DateType):
            return _attempt(lambda: datetime.date.fromisoformat(text))
        if isinstance(kind, types.TimestampType):
            day = _attempt(lambda: datetime.datetime.fromisoformat(text))
            return day.isoformat() if day is not None and len(text) == 10 else None
    if target == exp.DataType.Type.TIMESTAMP and isinstance(kind, types.TimestampType):
        moment = _attempt(lambda: datetime.datetime.fromisoformat(text))
        return moment.isoformat() if moment is not None and moment.tzinfo is None else None
    return None


def _attempt(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except (ValueError, InvalidOperation):
        return None
