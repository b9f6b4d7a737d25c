"""SELECT: its list with stars expanded, WHERE, GROUP BY with grouping sets, HAVING, named windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.sql.dialect import Text
from athena_local.sql.expressions.windows import window
from athena_local.sql.queries.ordering import tail
from athena_local.sql.queries.relations import add_from
from athena_local.sql.queries.shared import column, expect_boolean, not_athena, refuse_aggregates, unique
from athena_local.sql.scope import Output, Relation, Scope, Typed, position_of
from athena_local.types import quote

if TYPE_CHECKING:
    from athena_local.sql.queries.dispatch import Queries


def translate_select(build: Queries, node: exp.Select, outer: Scope) -> tuple[exp.Expression, list[Output]]:
    refuse_foreign_clauses(node)
    scope = Scope(parent=outer)
    select = exp.Select()
    add_from(build, node, scope, select)
    where = node.args.get("where")
    if where is not None:
        refuse_aggregates(where.this, "WHERE clause")
        condition = build.expressions.translate(where.this, scope)
        expect_boolean(condition, where.this, "WHERE")
        select.set("where", exp.Where(this=condition.node))
    projections = project(build, node, scope)
    outputs = unique([(name, typed.type) for name, typed in projections])
    select.set(
        "expressions",
        [
            exp.Alias(this=typed.node, alias=exp.to_identifier(output.ref, quoted=True))
            for (_, typed), output in zip(projections, outputs, strict=True)
        ],
    )
    if node.args.get("distinct") is not None:
        if node.args["distinct"].args.get("on"):
            raise not_athena("DISTINCT ON", node)
        select.set("distinct", exp.Distinct())
    group_by(build, node, scope, select, projections)
    if node.args.get("having") is not None:
        select.set(
            "having", exp.Having(this=build.expressions.translate(node.args["having"].this, scope).node)
        )
    if node.args.get("windows"):
        select.set("windows", [named_window(build, item, scope) for item in node.args["windows"]])
    scope.overlay = {name.lower(): (typed.node, typed.type) for name, typed in projections}
    tail(build, node, select, outputs, scope)
    return select, outputs


def refuse_foreign_clauses(node: exp.Select) -> None:
    for key, name in (
        ("qualify", "QUALIFY"), ("laterals", "LATERAL VIEW"), ("match", "MATCH_RECOGNIZE"), ("kind", "SELECT AS"),
        ("into", "INTO"), ("sample", "USING SAMPLE"), ("cluster", "CLUSTER BY"), ("sort", "SORT BY"),
        ("distribute", "DISTRIBUTE BY"), ("settings", "SETTINGS"), ("hint", "HINT"), ("prewhere", "PREWHERE"),
        ("pivots", "PIVOT"), ("operation_modifiers", "SELECT modifiers"),
    ):  # fmt: skip
        if node.args.get(key):
            raise not_athena(name, node)
    if not node.expressions:
        raise QueryError(
            "SYNTAX_ERROR", "mismatched input. Expecting: <expression>", position=position_of(node)
        )


def project(build: Queries, node: exp.Select, scope: Scope) -> list[tuple[str, Typed]]:
    found: list[tuple[str, Typed]] = []
    for item in node.expressions:
        if isinstance(item, exp.Star) or (isinstance(item, exp.Column) and isinstance(item.this, exp.Star)):
            found += expand_star(item, scope)
        elif isinstance(item, exp.Alias):
            found.append((item.alias, build.expressions.translate(item.this, scope)))
        else:
            typed = build.expressions.translate(item, scope)
            found.append((_derived_name(item, len(found)), typed))
    return found


def expand_star(item: exp.Expression, scope: Scope) -> list[tuple[str, Typed]]:
    star = item if isinstance(item, exp.Star) else item.this
    if star.args.get("except_") or star.args.get("replace") or star.args.get("rename"):
        raise not_athena("* EXCEPT/REPLACE", item)
    if isinstance(item, exp.Column):
        relation = scope.relation(item.parts[-2].name)
        if relation is None:
            text = f"Unable to resolve reference {item.parts[-2].name}"
            raise QueryError("TABLE_NOT_FOUND", text, position=position_of(item))
        return [_projected(relation, output) for output in relation.outputs if not output.hidden]
    if not scope.relations:
        raise QueryError(
            "COLUMN_NOT_FOUND", "SELECT * not allowed in queries without FROM clause", position=(1, 8)
        )
    found: list[tuple[str, Typed]] = []
    merged: set[str] = set()
    ordered = [
        (relation, output) for relation in scope.relations for output in relation.outputs if not output.hidden
    ]
    for relation, output in sorted(ordered, key=lambda pair: _place(pair[1].name, scope.merged)):
        name = output.name.lower()
        if name in scope.merged:
            if name not in merged:
                merged.add(name)
                found.append((output.name, Typed(column(output.ref), output.type)))
            continue
        found.append(_projected(relation, output))
    return found


def group_by(
    build: Queries, node: exp.Select, scope: Scope, select: exp.Select, projections: list[tuple[str, Typed]]
) -> None:
    group = node.args.get("group")
    if group is None:
        return
    if group.args.get("all") or group.args.get("totals"):
        raise not_athena("GROUP BY ALL", node)
    pieces: list[str] = []
    nodes: list[exp.Expression] = []

    def plain(item: exp.Expression) -> str:
        if isinstance(item, exp.Literal) and item.name.isdigit():
            position = int(item.name)
            if not 1 <= position <= len(projections):
                text = f"GROUP BY position {position} is not in select list"
                raise QueryError("INVALID_COLUMN_REFERENCE", text, position=position_of(node))
            return str(position)
        if isinstance(item, (exp.Tuple, exp.Paren)):
            inner = item.expressions if isinstance(item, exp.Tuple) else [item.this]
            return "(" + ", ".join(plain(part) for part in inner) + ")"
        nodes.append(build.expressions.translate(item, scope).node)
        return f"{{{len(nodes) - 1}}}"

    for item in group.expressions:
        name = {exp.Cube: "CUBE", exp.Rollup: "ROLLUP", exp.GroupingSets: "GROUPING SETS"}.get(type(item))
        if name:
            pieces.append(f"{name} (" + ", ".join(plain(part) for part in item.expressions) + ")")
        else:
            pieces.append(plain(item))
    for key, name in (("cube", "CUBE"), ("rollup", "ROLLUP"), ("grouping_sets", "GROUPING SETS")):
        for item in group.args.get(key) or []:
            pieces.append(f"{name} (" + ", ".join(plain(part) for part in item.expressions) + ")")
    select.set("group", exp.Group(expressions=[Text(this=", ".join(pieces), expressions=nodes)]))


def named_window(build: Queries, item: exp.Expression, scope: Scope) -> exp.Expression:
    frame = window(build.expressions, item, scope)
    return Text(this=f"{quote(item.name)} AS ({{0}})", expressions=[frame])


def _projected(relation: Relation, output: Output) -> tuple[str, Typed]:
    node = exp.column(
        exp.to_identifier(output.ref, quoted=True), table=exp.to_identifier(relation.alias, quoted=True)
    )
    return output.name, Typed(node, output.type)


def _derived_name(item: exp.Expression, index: int) -> str:
    if isinstance(item, exp.Column):
        return item.name
    if isinstance(item, exp.Dot):
        return str(item.expression.name)
    return f"_col{index}"


def _place(name: str, merged: list[str]) -> int:
    return merged.index(name.lower()) if name.lower() in merged else len(merged)
