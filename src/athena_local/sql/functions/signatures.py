"""What a function is here: a template over its arguments, the type it returns, how many it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from athena_local.engine.errors import raising
from athena_local.sql.coercion import common_type
from athena_local.types import (
    DOUBLE,
    UNKNOWN,
    AthenaType,
    array_of,
)

Type = AthenaType | None
TypeRule = AthenaType | Callable[[Sequence[Type]], Type] | None
Template = str | Callable[[Sequence[Type]], str]
JSON = AthenaType("json")
DAY_TO_SECOND = AthenaType("interval day to second")


@dataclass(frozen=True)
class Function:
    """`least`..`most` arguments (most None: any number)."""

    template: Template
    returns: TypeRule
    least: int
    most: int | None
    aggregate: bool = False
    window: bool = False  # only with OVER
    wrap: Template = "{0}"

    def result(self, types: Sequence[Type]) -> Type:
        return self.returns(types) if callable(self.returns) else self.returns


def scalar(template: Template, returns: TypeRule, least: int = 1, most: int | None = -1) -> Function:
    return Function(template, returns, least, least if most == -1 else most)


def aggregate(
    template: Template, returns: TypeRule, least: int = 1, most: int | None = -1, wrap: Template = "{0}"
) -> Function:
    return Function(template, returns, least, least if most == -1 else most, aggregate=True, wrap=wrap)


def windowed(
    template: Template, returns: TypeRule, least: int = 0, most: int | None = -1, wrap: Template = "{0}"
) -> Function:
    return Function(template, returns, least, least if most == -1 else most, window=True, wrap=wrap)


def doubles(name: str, count: int = 1) -> Function:
    holes = ", ".join(f"{{{index}}}" for index in range(count))
    return scalar(f"{name}({holes})", DOUBLE, count)


def first(types: Sequence[Type]) -> Type:
    return types[0] if types else None


def second(types: Sequence[Type]) -> Type:
    return types[1] if len(types) > 1 else None


def element(types: Sequence[Type]) -> Type:
    kind = types[0]
    return kind.element if kind is not None and kind.base == "array" else None


def array_of_first(types: Sequence[Type]) -> Type:
    return array_of(types[0]) if types[0] is not None else None


def common(types: Sequence[Type]) -> Type:
    found: Type = UNKNOWN
    for kind in types:
        found = common_type(found, kind)
        if found is None:
            return None
    return found


def like_argument(call: str) -> Template:
    return lambda types: to_type_of(types[0], call)


def to_type_of(kind: Type, text: str) -> str:
    return f"CAST({text} AS {kind.duckdb()})" if kind is not None else text


def failing(text: str, code: str = "INVALID_FUNCTION_ARGUMENT") -> str:
    return "error('" + raising(code, text).replace("'", "''") + "')"
