"""EXPLAIN: a statement's plan as text, JSON or Graphviz, its tables, or whether it is valid. ANALYZE runs it as well.

Nothing is read but the catalog. Refused: statements that have no plan (SHOW, DDL).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from athena_local.config import CATALOG_NAME
from athena_local.context import ResultColumn, StatementResult
from athena_local.errors import QueryError
from athena_local.sql import statements as s
from athena_local.sql.plans import Fragment, Node, Planner, fragments

if TYPE_CHECKING:
    from athena_local.engine.session import Session

_MAX_VARCHAR = 2147483647
_LABEL: dict[int, str] = {ord(mark): other for mark, other in zip('"{}|<>', "'()/()", strict=True)}
_UNKNOWN = "{rows: ? (?), cpu: ?, memory: ?, network: ?}"
_NAN = {
    "outputRowCount": "NaN", "outputSizeInBytes": "NaN", "cpuCost": "NaN", "memoryCost": "NaN", "networkCost": "NaN",
}  # fmt: skip


def explain(
    session: Session, statement: s.Explain, run: Callable[[s.Statement], StatementResult]
) -> StatementResult:
    """Return the answer to an EXPLAIN; `run` executes the statement inside, for ANALYZE."""
    inner = statement.statement
    if not isinstance(inner, (s.Select, s.Insert, s.CreateTableAs, s.Unload, s.Delete, s.Update, s.Merge)):
        text = f"EXPLAIN is not supported for {inner.substatement_type}"
        raise QueryError("NOT_SUPPORTED", text, position=(1, 1))
    started = time.monotonic()
    planner = Planner(session)
    with session.schema_only():
        root = _plan(session, planner, inner)
    planned = time.monotonic() - started
    if statement.kind == "validate":
        return _answer(ResultColumn("Valid", "boolean"), ["true", ""])
    if statement.kind == "io":
        return _lines(json.dumps(_tables(planner, inner), indent=2))
    if statement.analyze:
        return _lines(_analyzed(session, statement, fragments(root), planned, run))
    parts = fragments(root)
    if statement.form == "json":
        whole: dict[str, Any] | list[Any] = _json(root, _Numbers())
        if statement.kind == "distributed":
            numbers = _Numbers()
            whole = {str(part.number): _json(part.root, numbers) for part in parts}
        return _lines(json.dumps(whole, indent=2))
    if statement.form == "graphviz":
        return _lines(_graphviz(parts, statement.kind) + "\n")
    if statement.kind == "logical":
        return _lines("\n".join(_node(root, "", "")) + "\n\n")
    return _lines("\n\n".join("\n".join(_fragment(part)) for part in parts) + "\n\n")


def _plan(session: Session, planner: Planner, inner: Any) -> Node:
    """Check the statement as running it would, then plan it."""
    if isinstance(inner, (s.Delete, s.Update, s.Merge)):
        source = inner.source if isinstance(inner, s.Merge) else None
        query = _table_query(session, inner, source)
        session.translate(query)
        return planner.writing(query, f"{CATALOG_NAME.lower()}:{_name(session, inner.table)}")
    session.translate(inner.query)
    if isinstance(inner, s.Select):
        return planner.output(inner.query)
    target = (
        "unload" if isinstance(inner, s.Unload) else f"{CATALOG_NAME.lower()}:{_name(session, inner.table)}"
    )
    return planner.writing(inner.query, target)


def _table_query(session: Session, inner: Any, source: Any) -> Any:
    """Return the query that finds the rows a statement changes."""
    from sqlglot import exp

    table = exp.table_(inner.table.name, db=inner.table.database or session.context.database, quoted=True)
    alias = getattr(inner, "alias", None)
    query = exp.select("*").from_(exp.alias_(table, alias, table=True) if alias else table)
    if source is not None:
        return query.join(source.copy(), on=inner.on.copy(), join_type="left")
    return query.where(inner.where.copy()) if inner.where is not None else query


def _name(session: Session, table: s.TableName) -> str:
    return f"{table.database or session.context.database}:{table.name}"


# text


def _fragment(part: Fragment, told: list[str] | None = None) -> list[str]:
    layout = ", ".join(symbol.name for symbol in part.root.outputs)
    lines = [f"Fragment {part.number} [{part.kind}]", *(f"    {line}" for line in told or [])]
    lines += [f"    Output layout: [{layout}]", f"    Output partitioning: {part.partitioning}"]
    return lines + _node(part.root, "    ", "    ")


def _node(node: Node, first: str, rest: str) -> list[str]:
    """Return a node's lines: `first` stands before its own, `rest` before what is below it."""
    bar = "│   " if node.children else "    "
    descriptor = ", ".join(f"{key} = {value}" for key, value in node.descriptor.items())
    layout = ", ".join(str(symbol) for symbol in node.outputs)
    lines = [f"{first}{node.name}[{descriptor}]"]
    lines.append(f"{rest}{bar}Layout: [{layout}]")
    if node.name != "RemoteSource":
        lines.append(f"{rest}{bar}Estimates: {_estimates(node)}")
    lines += [f"{rest}{bar}{detail}" for detail in node.details]
    for index, child in enumerate(node.children):
        last = index == len(node.children) - 1
        lines += _node(child, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))
    return lines


def _estimates(node: Node) -> str:
    if node.rows is None or node.size is None:
        return _UNKNOWN
    cpu = "0" if node.name != "LocalExchange" else str(node.size)
    return f"{{rows: {node.rows} ({node.size}B), cpu: {cpu}, memory: 0B, network: 0B}}"


# ANALYZE


def _analyzed(
    session: Session,
    statement: s.Explain,
    parts: list[Fragment],
    planned: float,
    run: Callable[[s.Statement], StatementResult],
) -> str:
    """Run the statement, its rows thrown away, and tell what the whole of it took; this engine has no fragments."""
    context = session.context
    cpu, started = time.process_time(), time.monotonic()
    result = run(statement.statement)
    rows, size = 0, 0
    for batch in result.batches or ():
        rows += batch.num_rows
        size += batch.nbytes
    if result.batches is None:
        rows = result.update_count or 0
    wall, cpu = time.monotonic() - started, time.process_time() - cpu
    read = f"{context.statistics.rows_scanned} rows ({_bytes(context.statistics.bytes_scanned)})"
    told = [
        f"CPU: {_time(cpu)}, Scheduled: {_time(wall)}, Input: {read}, Output: {rows} rows ({_bytes(size)})"
    ]
    if statement.verbose:
        told.append(f"Physical input: {_bytes(context.statistics.bytes_scanned)}")
    if statement.form == "json":
        numbers = _Numbers()
        whole = {str(part.number): _json(part.root, numbers) for part in parts}
        whole["0"] |= {
            "cpuTimeMillis": round(cpu * 1000), "wallTimeMillis": round(wall * 1000), "outputRows": rows,
            "physicalInputBytes": context.statistics.bytes_scanned,
        }  # fmt: skip
        return json.dumps(whole, indent=2)
    head = f"Queued: 0.00ns, Analysis: 0.00ns, Planning: {_time(planned)}, Execution: {_time(wall)}"
    texts = ["\n".join(_fragment(part, told if part.number == 0 else None)) for part in parts]
    return head + "\n" + "\n\n".join(texts) + "\n\n"


def _time(seconds: float) -> str:
    return f"{seconds:.2f}s" if seconds >= 1 else f"{seconds * 1000:.2f}ms"


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1024 or unit == "GB":
            return f"{size:.0f}B" if unit == "B" else f"{size:.2f}{unit}"
        size /= 1024
    return f"{size:.0f}B"


# JSON, Graphviz, IO


class _Numbers:
    def __init__(self) -> None:
        self._last = 0

    def next(self) -> str:
        self._last += 1
        return str(self._last)


def _json(node: Node, numbers: _Numbers) -> dict[str, Any]:
    estimate = dict(_NAN)
    if node.rows is not None and node.size is not None:
        sizes = (float(node.rows), float(node.size), 0.0, 0.0, 0.0)
        estimate = dict(zip(_NAN, sizes, strict=True))  # type: ignore[arg-type]
    return {
        "id": numbers.next(),
        "name": node.name,
        "descriptor": node.descriptor,
        "outputs": [{"symbol": symbol.name, "type": symbol.kind} for symbol in node.outputs],
        "details": node.details,
        "estimates": [estimate],
        "children": [_json(child, numbers) for child in node.children],
    }


def _graphviz(parts: list[Fragment], kind: str) -> str:
    lines = [f"digraph {kind}_plan {{"]
    numbers = _Numbers()
    edges: list[str] = []
    roots: dict[str, str] = {}
    sources: list[tuple[str, str]] = []

    def draw(node: Node) -> str:
        name = f"plannode_{numbers.next()}"
        shown = ", ".join(f"{key} = {value}" for key, value in node.descriptor.items())
        label = f"{node.name}[{shown}]".translate(_LABEL)
        lines.append(f'{name}[label="{{{label}}}", style="rounded, filled", shape=record, fillcolor=white];')
        if node.name == "RemoteSource":
            sources.append((name, node.descriptor["sourceFragmentIds"].strip("[]")))
        for child in node.children:
            edges.append(f"{name} -> {draw(child)};")
        return name

    for part in parts:
        lines += [f"subgraph cluster_{part.number} {{", f'label = "{part.kind}"']
        roots[str(part.number)] = draw(part.root)
        lines.append("}")
    edges += [f"{name} -> {roots[number]};" for name, number in sources]
    return "\n".join([*lines, *edges, "}"])


def _tables(planner: Planner, inner: Any) -> dict[str, Any]:
    """Return EXPLAIN (TYPE IO)'s account of the tables that are read and written."""
    found: list[Any] = []
    for schema, table, constraints in planner.scanned:
        columns = [
            {
                "columnName": item["columnName"],
                "type": item["type"],
                "domain": {
                    "nullsAllowed": False,
                    "ranges": [
                        {
                            "low": {"value": value, "bound": "EXACTLY"},
                            "high": {"value": value, "bound": "EXACTLY"},
                        }
                        for value in item["values"]
                    ],
                },
            }
            for item in constraints
        ]
        found.append(
            {
                "table": _qualified(schema, table),
                "constraint": {"none": False, "columnConstraints": columns},
                "estimate": _NAN,
            }
        )
    whole: dict[str, Any] = {"inputTableColumnInfos": found}
    if isinstance(inner, (s.Insert, s.CreateTableAs)):
        schema, table = _name(planner.session, inner.table).split(":", 1)
        whole["outputTable"] = _qualified(schema, table)
    return {**whole, "estimate": _NAN}


def _qualified(schema: str, table: str) -> dict[str, Any]:
    return {"catalog": CATALOG_NAME.lower(), "schemaTable": {"schema": schema, "table": table}}


# rows


def _lines(text: str) -> StatementResult:
    """Return a text as Athena does: a line a row, and one more behind the last."""
    return _answer(ResultColumn("Query Plan", "varchar", _MAX_VARCHAR), (text + "\n").split("\n"))


def _answer(column: ResultColumn, lines: list[str]) -> StatementResult:
    batch = pa.RecordBatch.from_arrays([pa.array(lines, pa.string())], [column.name])
    return StatementResult([column], iter([batch]))
