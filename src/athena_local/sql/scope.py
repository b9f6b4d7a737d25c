"""What a name can mean at a place in a query: relations in FROM, outer queries, CTEs, lambda parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.statements import Position
from athena_local.types import AthenaType


@dataclass(frozen=True)
class Output:
    """One column of a relation: `name` as a query sees it, `ref` as the generated SQL spells it (unique in its relation)."""

    name: str
    type: AthenaType | None  # None: not known before DuckDB binds it
    ref: str
    hidden: bool = False


@dataclass
class Relation:
    """A FROM item. `prefix` is the catalog and database of a table that has no alias: they may qualify it."""

    alias: str
    outputs: list[Output]
    named: bool = True  # False: it can only be reached by bare column names
    prefix: tuple[str, ...] = ()

    def find(self, name: str) -> list[Output]:
        return [output for output in self.outputs if output.name.lower() == name.lower()]


@dataclass
class Scope:
    """`merged` are the columns of USING, last join first: shown once, before all others, and reached without a qualifier."""

    relations: list[Relation] = field(default_factory=list)
    parent: Scope | None = None
    merged: list[Output] = field(default_factory=list)
    overlay: dict[str, tuple[exp.Expression, AthenaType | None]] = field(default_factory=dict)
    lambdas: dict[str, Typed] = field(default_factory=dict)  # parameters in force, and what stands for each

    def child(self) -> Scope:
        return Scope(parent=self)

    def with_lambdas(self, names: dict[str, Typed]) -> Scope:
        return Scope(self.relations, self.parent, self.merged, self.overlay, {**self.lambdas, **names})

    def relation(self, alias: str, prefix: Sequence[str] = ()) -> Relation | None:
        """Return the innermost relation of that name; `prefix` is the database, or catalog and database, before it."""
        wanted = tuple(part.lower() for part in prefix)
        scope: Scope | None = self
        while scope is not None:
            for relation in scope.relations:
                fits = not wanted or relation.prefix[-len(wanted) :] == wanted
                if relation.named and fits and relation.alias.lower() == alias.lower():
                    return relation
            scope = scope.parent
        return None

    def bare(self, name: str, position: Position | None) -> tuple[Relation | None, Output] | None:
        """Return where a bare column name leads; a None relation means that it must stay unqualified (USING)."""
        scope: Scope | None = self
        while scope is not None:
            found = scope.own_all(name)
            if len(found) > 1:
                raise QueryError("AMBIGUOUS_NAME", f"Column '{name}' is ambiguous", position=position)
            if found:
                return found[0]
            scope = scope.parent
        return None

    def own(self, name: str) -> tuple[Relation | None, Output] | None:
        """Return the first column of that name in this scope alone."""
        return next(iter(self.own_all(name)), None)

    def own_all(self, name: str) -> list[tuple[Relation | None, Output]]:
        found: list[tuple[Relation | None, Output]] = [
            (None, output) for output in self.merged if output.name.lower() == name.lower()
        ]
        return found + [(relation, output) for relation in self.relations for output in relation.find(name)]


@dataclass(frozen=True)
class Typed:
    """A translated expression and its type, None when only DuckDB will know."""

    node: exp.Expression
    type: AthenaType | None


def position_of(node: exp.Expression | None) -> Position | None:
    """Return where a node begins in the submitted text, if anything in it kept its place."""
    if node is None:
        return None
    best: tuple[int, Position] | None = None
    for item in node.walk():
        meta = item.meta
        if "start" in meta and (best is None or meta["start"] < best[0]):
            column = meta["col"] - (meta["end"] - meta["start"])
            best = (meta["start"], (meta["line"], max(1, column)))
    return best[1] if best else None
