"""GROUP BY: ordinals, expressions, grouping sets, CUBE, ROLLUP, DISTINCT sets; and what a grouped query may show.

DuckDB checks the latter once more, by its own rules; here it is Trino's, in Trino's words: each expression must be a
grouping expression, an aggregate, or made of such and of constants. What a nested query uses is left to DuckDB.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.dialect import DuckDBText, Text
from athena_local.sql.places import operator_position, phrase_position
from athena_local.sql.queries.aggregation import (
    aggregates,
    bare,
    groupings,
    is_aggregate,
    refuse_aggregates,
    unwrapped,
    window_parts,
    windowed,
)
from athena_local.sql.queries.ordering import output_named
from athena_local.sql.queries.wording import shown
from athena_local.sql.scope import Output, Scope, Typed, position_of
from athena_local.sql.zones import refuse_by_row

if TYPE_CHECKING:
    from athena_local.sql.queries.dispatch import Queries

_SETS: dict[type, str] = {exp.Cube: "CUBE", exp.Rollup: "ROLLUP", exp.GroupingSets: "GROUPING SETS"}
MAX_GROUPING_SETS = 2048
Projection = tuple[str, Typed]
Key = tuple[str, ...]


class GroupBy:
    """The grouping of one SELECT. Expressions are compared by what they mean: by the DuckDB text they become."""

    def __init__(
        self,
        build: Queries,
        node: exp.Select,
        scope: Scope,
        projections: list[Projection],
        sources: list[Any],
    ) -> None:
        self.build = build
        self.scope = scope
        self.group = node.args.get("group")
        self.keys: set[str] = set()
        self._columns_only = True
        self._is_one_group = False
        self._sets: list[list[Key]] = []  # one list of alternative sets an element of GROUP BY
        if self.group is not None:
            self._read(self.group, projections, sources)

    # reading

    def _read(self, group: exp.Group, projections: list[Projection], sources: list[Any]) -> None:
        elements = list(group.expressions)
        for name in ("cube", "rollup", "grouping_sets"):
            elements += group.args.get(name) or []
        if not elements:  # GROUP BY ALL: without a grouping element behind it ALL is a name
            raise QueryError(
                "COLUMN_NOT_FOUND",
                "Column 'all' cannot be resolved or requester is not authorized to access requested resources",
                position=phrase_position(group, "GROUP", "BY", "ALL"),
            )
        for element in elements:
            if type(element) not in _SETS:
                self._sets.append([self._set(element, projections, sources)])
                continue
            sets = [self._set(item, projections, sources) for item in element.expressions]
            if isinstance(element, exp.Rollup):
                sets = [sum(sets[:count], ()) for count in range(len(sets), -1, -1)]
            elif isinstance(element, exp.Cube):
                chosen = (c for n in range(len(sets), -1, -1) for c in itertools.combinations(sets, n))
                sets = [sum(items, ()) for items in itertools.islice(chosen, MAX_GROUPING_SETS + 1)]
            self._sets.append(sets)
        self._check_count(group)

    def _check_count(self, group: exp.Group) -> None:
        count = 1
        for sets in self._sets:
            count *= len(sets)
        if count > MAX_GROUPING_SETS:
            text = f"GROUP BY has {count} grouping sets but can contain at most {MAX_GROUPING_SETS}"
            raise QueryError("TOO_MANY_GROUPING_SETS", text, position=position_of(group))

    def _set(self, item: Any, projections: list[Projection], sources: list[Any]) -> Key:
        if isinstance(item, exp.Tuple):
            return tuple(self._expression(part, projections, sources) for part in item.expressions)
        return (self._expression(item, projections, sources),)

    def _expression(self, item: Any, projections: list[Projection], sources: list[Any]) -> str:
        item = bare(item)
        if isinstance(item, exp.Literal) and item.name.isdigit() and not item.is_string:
            position = int(item.name)
            if not 1 <= position <= len(projections):
                text = f"GROUP BY position {position} is not in select list"
                raise QueryError("INVALID_COLUMN_REFERENCE", text, position=position_of(item))
            source = sources[position - 1]
            if source is not None:
                refuse_aggregates(source, "GROUP BY clause")
            self._columns_only &= source is None or isinstance(source, exp.Column)
            refuse_by_row(projections[position - 1][1].type, "GROUP BY", position_of(item))
            key = str(projections[position - 1][1].node.sql(dialect=DuckDBText))
        else:
            refuse_aggregates(item, "GROUP BY clause")
            self._columns_only &= isinstance(item, exp.Column)
            typed = self.build.expressions.translate(item, self.scope)
            refuse_by_row(typed.type, "GROUP BY", position_of(item))
            key = str(typed.node.sql(dialect=DuckDBText))
        self.keys.add(key)
        return key

    # writing

    def put_on(self, select: exp.Select) -> None:
        """Write GROUP BY in DuckDB's words; one group is said to be one: DuckDB may not see the aggregate that makes it."""
        if self.group is None:
            if self._is_one_group:
                select.set("group", exp.Group(expressions=[Text(this="()")]))
            return
        if all(len(sets) == 1 for sets in self._sets):
            keys = dict.fromkeys(key for sets in self._sets for key in sets[0])
            text = ", ".join(map(_grouped, keys)) or "()"
        else:
            product = [tuple(dict.fromkeys(sum(chosen, ()))) for chosen in itertools.product(*self._sets)]
            if self.group.args.get("all") is False:  # GROUP BY DISTINCT
                product = list({frozenset(item): item for item in product}.values())
            sets = ("(" + ", ".join(map(_grouped, item)) + ")" for item in product)
            text = f"GROUPING SETS ({', '.join(sets)})"
        select.set("group", exp.Group(expressions=[Text(this=text)]))

    # checking

    def check(
        self, node: exp.Select, projections: list[Projection], sources: list[Any], outputs: list[Output]
    ) -> None:
        """Raise EXPRESSION_NOT_AGGREGATE for what differs from row to row of a group."""
        order, having = node.args.get("order"), node.args.get("having")
        sorted_by = [item.this for item in order.expressions] if order is not None else []
        shown_items = [source for source in sources if source is not None]
        self._check_grouping_calls([*shown_items, *sorted_by, *([having.this] if having is not None else [])])
        grouped = self.group is not None or having is not None
        if not grouped and not any(aggregates(item) for item in [*shown_items, *sorted_by]):
            return
        self._is_one_group = self.group is None
        for source, (name, typed) in zip(sources, projections, strict=True):
            if source is not None:
                self._check(source, frozenset())
            elif typed.node.sql(dialect=DuckDBText) not in self.keys:
                table = getattr(typed.node, "table", "")
                column = f"{table}.{name}" if table and not table.startswith("__derived") else name
                text = f"Column '{column}' not in GROUP BY clause"
                raise QueryError("EXPRESSION_NOT_AGGREGATE", text, position=position_of(node))
        if having is not None:
            self._check(having.this, frozenset())
        names = frozenset(output.name.lower() for output in outputs)
        for item in sorted_by:
            if not isinstance(item, exp.Literal) and output_named(outputs, item) is None:
                self._check(item, names)

    def _check_grouping_calls(self, items: list[Any]) -> None:
        for call in (found for item in items for found in groupings(item)):
            if self.group is None:
                text = (
                    "A GROUPING() operation can only be used with a corresponding"
                    " GROUPING SET/CUBE/ROLLUP/GROUP BY clause"
                )
                raise QueryError("MISSING_GROUP_BY", text, position=position_of(call))
            for argument in call.expressions:
                if self._key(argument) not in self.keys:
                    text = "The arguments to GROUPING() must be expressions referenced by the GROUP BY"
                    raise QueryError("INVALID_ARGUMENTS", text, position=position_of(argument))

    def _check(self, node: Any, bound: frozenset[str]) -> None:
        node = bare(node)
        if not self._constant(node, bound):
            text = f"'{shown(node)}' must be an aggregate expression or appear in GROUP BY clause"
            raise QueryError("EXPRESSION_NOT_AGGREGATE", text, position=operator_position(node))

    def _key(self, node: Any) -> str | None:
        try:
            return str(self.build.expressions.translate(bare(node), self.scope).node.sql(dialect=DuckDBText))
        except QueryError:
            return None  # it ends in the same error where it is translated for good

    def _constant(self, node: Any, bound: frozenset[str]) -> bool:
        if isinstance(node, exp.Query | exp.DataType | exp.Identifier) or is_aggregate(unwrapped(node)):
            return True
        if isinstance(node, exp.Column):
            return self._column(node, bound)
        if not self._columns_only and self._key(node) in self.keys:
            return True
        if isinstance(node, exp.Anonymous) and node.name.lower() == "grouping":
            return True
        if isinstance(node, exp.Lambda):
            return self._constant(node.this, bound | {item.name.lower() for item in node.expressions})
        if isinstance(node, exp.Window):
            inner = [*windowed(node).iter_expressions(), *window_parts(node)]
            return all(self._constant(item, bound) for item in inner)
        return all(self._constant(item, bound) for item in node.iter_expressions())

    def _column(self, node: exp.Column, bound: frozenset[str]) -> bool:
        names = [part.name for part in node.parts]
        if names[0].lower() in bound or self._key(node) in self.keys:
            return True
        relation = self.scope.relation(names[-2], names[:-2]) if len(names) > 1 else None
        if relation is not None:
            return not any(relation is own for own in self.scope.relations)
        if self._key(exp.column(node.parts[0].copy())) in self.keys:
            return True  # a field of a grouped row
        return self.scope.own(names[0]) is None


def _grouped(key: str) -> str:
    """Return a grouping expression so that DuckDB takes no constant for an ordinal."""
    return f"({key})" if not key.lstrip("-").isdigit() else f"({key} + 0)"
