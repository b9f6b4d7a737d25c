"""What a function is here: Trino's signatures of it, each with DuckDB's words for it.

A signature is written as Trino prints one, its result after an arrow: `array(T), T -> boolean`, `varchar(x)... -> varchar`.
One capital letter is a type variable; a lowercase letter in parentheses stands for any length, precision or scale. Which
signature a call means is found as in Trino: the one that needs the least coercion, nothing by guess.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from athena_local.engine.errors import raising
from athena_local.sql.coercion import as_decimal, coercion_cost, common_type
from athena_local.sql.scope import Typed
from athena_local.types import UNKNOWN, AthenaType, array_of, map_of, parse_type, row_of

Type = AthenaType | None
LAMBDA = AthenaType("function")  # what a lambda counts as until its parameters' types are known

_TOKEN = re.compile(r"\s*(\.\.\.|->|[(),]|[^\s(),.]+)")
_TEXT_PARSED = {
    "JsonPath",
    "JoniRegExp",
    "CodePoints",
}  # text that Trino reads once a query; shown in its errors
_VARIABLE = re.compile(r"[A-Z]\d?")
_SUFFIXES = (("with", "time", "zone"), ("day", "to", "second"), ("year", "to", "month"))


@dataclass(frozen=True)
class Pattern:
    """A type in a signature. `name` is a base type's, `function`, a variable's, or `*` for anything at all."""

    name: str
    inner: tuple[Pattern, ...] = ()
    sizes: tuple[str, ...] = ()

    @property
    def is_variable(self) -> bool:
        return _VARIABLE.fullmatch(self.name) is not None

    def __str__(self) -> str:
        inside = ", ".join(map(str, self.inner)) if self.inner else ",".join(self.sizes)
        if not inside:
            return self.name
        word, _, rest = self.name.partition(" ")
        return f"{word}({inside})" + (f" {rest}" if rest else "")


@dataclass
class Call:
    """A call whose signature is found: arguments coerced to its types, for a template that is a function."""

    parts: list[Typed]
    types: list[Type]  # by the signature; `given` is what was written
    given: list[Type]
    sources: Sequence[exp.Expression]
    returns: Type
    node: exp.Expression

    def text(self, index: int) -> str | None:
        """Return the argument's text when it is a literal."""
        if index < len(self.sources):
            source = self.sources[index]
            if isinstance(source, exp.Literal) and source.is_string:
                return str(source.name)
        return None

    def number(self, index: int) -> int | None:
        """Return the argument's value when it is a literal integer."""
        if index < len(self.sources):
            source = self.sources[index]
            if isinstance(source, exp.Literal) and not source.is_string and source.name.isdigit():
                return int(source.name)
        return None


Template = str | Callable[[Call], "str | Typed"]
Wrap = str | Callable[[Sequence[Type]], str]


@dataclass(frozen=True)
class Overload:
    signature: str
    template: Template

    @functools.cached_property
    def parsed(self) -> tuple[tuple[Pattern, ...], bool, Pattern | None]:
        """(arguments, whether the last one repeats, result: None when only DuckDB knows)."""
        return _parse(self.signature)

    @property
    def shown(self) -> str:
        arguments, repeats, _ = self.parsed
        shown = [str(item) for item in arguments]
        return ", ".join([*shown[:-1], f"{shown[-1]}..."] if repeats else shown)


@dataclass(frozen=True)
class Function:
    """`kind` is scalar, aggregate or window (only with OVER). `wrap` stays outside an aggregate's FILTER and OVER."""

    name: str
    overloads: tuple[Overload, ...]
    kind: str = "scalar"
    wrap: Wrap = "{0}"
    constraint: str = ""  # what its type variable must be: comparable, orderable

    @property
    def aggregate(self) -> bool:
        return self.kind == "aggregate"

    @property
    def window(self) -> bool:
        return self.kind == "window"

    def expected(self) -> str:
        """Return the signatures as an error lists them."""
        return ", ".join(self._expected(overload) for overload in self.overloads)

    def _expected(self, overload: Overload) -> str:
        shown = f"{self.name}({overload.shown})"
        variable = re.search(r"\b[A-Z]\d?\b", overload.shown)
        if self.constraint and variable and "function(" not in shown:
            return f"{shown} {variable[0]}:{self.constraint}"
        return shown


@dataclass
class Bound:
    """A signature with its variables found. `types` has one entry an argument."""

    overload: Overload
    patterns: list[Pattern]
    variables: dict[str, Type]
    sizes: dict[str, int | None]
    cost: int

    def type_of(self, pattern: Pattern, given: Type = None) -> Type:
        """Return the type a pattern means now; None when a variable in it is not known."""
        if pattern.is_variable:
            return self.variables.get(pattern.name)
        if pattern.name == "*" or pattern.name in _TEXT_PARSED:
            return given
        inner = [self.type_of(item) for item in pattern.inner]
        if pattern.name in {"array", "map", "row"}:
            known = [kind for kind in inner if kind is not None]
            if len(known) < len(inner):
                return None
            if pattern.name == "array":
                return array_of(known[0])
            return map_of(known[0], known[1]) if pattern.name == "map" else row_of([("", k) for k in known])
        if pattern.name == "function":
            return LAMBDA
        return self._sized(pattern, given)

    def _sized(self, pattern: Pattern, given: Type) -> Type:
        if given is not None and given.base == pattern.name:
            return given
        if pattern.name == "decimal" and given is not None and given.is_integer:
            return as_decimal(given)
        sizes = [int(size) if size.isdigit() else self.sizes.get(size) for size in pattern.sizes]
        if pattern.name == "decimal":
            known = [size for size in sizes if size is not None]
            return AthenaType("decimal", *(known if len(known) == 2 else (38, 0)))
        if sizes:
            precision = sizes[0]
            if precision is None and pattern.name not in {"varchar", "char"}:
                precision = given.precision if given is not None and given.precision is not None else 3
            return AthenaType(pattern.name, precision)
        return parse_type(pattern.name)

    @property
    def returns(self) -> Type:
        result = self.overload.parsed[2]
        return self.type_of(result) if result is not None else None


def bind(overload: Overload, given: Sequence[Type]) -> Bound | None:
    """Return the signature bound to argument types (None: not known, fits anything); None when they do not fit."""
    patterns, repeats, _ = overload.parsed
    if len(given) < len(patterns) or (len(given) > len(patterns) and not repeats):
        return None
    spread = [*patterns, *patterns[-1:] * (len(given) - len(patterns))]
    bound = Bound(overload, spread, {}, {}, 0)
    for pattern, kind in zip(spread, given, strict=True):
        cost = match(pattern, kind, bound)
        if cost is None:
            return None
        bound.cost += cost
    return bound


def resolve(function: Function, given: Sequence[Type]) -> Bound | None:
    """Return the signature that needs the least coercion; of equals the first."""
    found = [bound for bound in (bind(overload, given) for overload in function.overloads) if bound]
    return min(found, key=lambda bound: bound.cost) if found else None


def match(pattern: Pattern, kind: Type, bound: Bound) -> int | None:
    """Find variables so that a type fits a pattern; return the coercion it needs, None when it does not fit."""
    if kind is None or pattern.name == "*":
        return 0
    if kind.base == "function" or pattern.name == "function":
        return 0 if kind.base == pattern.name else None
    if pattern.name in _TEXT_PARSED:
        return 0 if kind.is_text or kind.base == "unknown" else None
    if pattern.is_variable:
        known = bound.variables.get(pattern.name)
        if known is None:
            bound.variables[pattern.name] = kind
            return 0
        both = common_type(known, kind)
        if both is None:
            return None
        bound.variables[pattern.name] = both
        return 0 if known == kind else 1
    cost = coercion_cost(kind, pattern.name)
    if cost is None:
        return None
    if kind.base == "unknown":
        return 1
    if pattern.inner:
        if len(kind.fields) != len(pattern.inner):
            return None
        for item, (_, inner) in zip(pattern.inner, kind.fields, strict=True):
            more = match(item, inner, bound)
            if more is None:
                return None
            cost += more
    for size, value in zip(pattern.sizes, (kind.precision, kind.scale), strict=False):
        if not size.isdigit() and kind.base == pattern.name:
            bound.sizes[size] = _wider(bound.sizes.get(size, 0), value)
    return cost


def _wider(known: int | None, value: int | None) -> int | None:
    return None if known is None or value is None else max(known, value)


def _parse(signature: str) -> tuple[tuple[Pattern, ...], bool, Pattern | None]:
    tokens = _TOKEN.findall(signature)
    arguments: list[Pattern] = []
    repeats = False
    while tokens and tokens[0] != "->":
        arguments.append(_pattern(tokens))
        if tokens and tokens[0] == "...":
            repeats = True
            tokens.pop(0)
        if tokens and tokens[0] == ",":
            tokens.pop(0)
    result = None
    if tokens:
        tokens.pop(0)
        result = _pattern(tokens) if tokens[0] != "?" else None
    return tuple(arguments), repeats, result


def _pattern(tokens: list[str]) -> Pattern:
    name = tokens.pop(0)
    inner: list[Pattern] = []
    sizes: list[str] = []
    if tokens and tokens[0] == "(":
        tokens.pop(0)
        nested = name in {"array", "map", "row", "function"}
        while tokens[0] != ")":
            if nested:
                inner.append(_pattern(tokens))
            else:
                sizes.append(tokens.pop(0))
            if tokens[0] == ",":
                tokens.pop(0)
        tokens.pop(0)
    for suffix in _SUFFIXES:
        if tuple(tokens[:3]) == suffix:
            name = " ".join([name, *suffix])
            del tokens[:3]
    return Pattern(name, tuple(inner), tuple(sizes))


def scalar(*pairs: Any) -> dict[str, Any]:
    """Return an entry of a table: `scalar("varchar(x) -> bigint", "length({0})", …)`, signature and template in turn."""
    return {"overloads": _overloads(pairs)}


def aggregate(*pairs: Any, wrap: Wrap = "{0}") -> dict[str, Any]:
    return {"overloads": _overloads(pairs), "kind": "aggregate", "wrap": wrap}


def windowed(*pairs: Any, wrap: Wrap = "{0}") -> dict[str, Any]:
    return {"overloads": _overloads(pairs), "kind": "window", "wrap": wrap}


def _overloads(pairs: Sequence[Any]) -> tuple[Overload, ...]:
    return tuple(Overload(pairs[index], pairs[index + 1]) for index in range(0, len(pairs), 2))


def table(
    entries: dict[str, dict[str, Any]], comparable: str = "", orderable: str = ""
) -> dict[str, Function]:
    """Name a table's entries. `comparable` and `orderable` are names of functions whose T must be so."""
    found = {}
    for name, entry in entries.items():
        constraint = "comparable" if name in comparable.split() else ""
        constraint = "orderable" if name in orderable.split() else constraint
        found[name] = Function(name, constraint=constraint, **entry)
    return found


def common(types: Sequence[Type]) -> Type:
    found: Type = UNKNOWN
    for kind in types:
        found = common_type(found, kind)
        if found is None:
            return None
    return found


def to_type_of(kind: Type, text: str) -> str:
    return f"CAST({text} AS {kind.duckdb()})" if kind is not None and kind.base != "unknown" else text


def failing(text: str, code: str = "INVALID_FUNCTION_ARGUMENT") -> str:
    """Return DuckDB's text that ends the query with an error; unlike error() it may stand inside TRY."""
    return "trino_fail('" + raising(code, text).replace("'", "''") + "')"
