"""Operations put on top of others: exchanges, the two steps of an aggregation, filters and projections merged into scans."""

from __future__ import annotations

from athena_local.sql.plans.nodes import REMOTE, Node, Symbol
from athena_local.sql.plans.words import described


def gathered(node: Node) -> Node:
    """Put what is on many workers onto one; values and what is there already need no exchange."""
    if node.rows is not None or node.name in {"TopN", "Limit", "RemoteMerge", REMOTE} or _is_single(node):
        return node
    return Node(REMOTE, node.outputs, [node], {"type": "GATHER"})


def _is_single(node: Node) -> bool:
    """Whether a part runs on one worker: it has been gathered below, and not spread since."""
    if node.name == REMOTE:
        return node.descriptor["type"] == "GATHER"
    return bool(node.children) and all(_is_single(child) for child in node.children)


def repartitioned(node: Node, keys: str) -> Node:
    exchanged = Node(REMOTE, node.outputs, [node], {"type": "REPARTITION", "keys": keys})
    return Node("LocalExchange", node.outputs, [exchanged], {"partitioning": "HASH", "arguments": keys})


def replicated(node: Node) -> Node:
    exchanged = Node(REMOTE, node.outputs, [node], {"type": "REPLICATE"})
    return Node("LocalExchange", node.outputs, [exchanged], {"partitioning": "SINGLE"})


def two_steps(
    root: Node,
    keys: list[Symbol],
    results: list[Symbol],
    below: list[Symbol],
    partial: list[str],
    final: list[str],
) -> Node:
    """Aggregate where the rows are, then what comes together by key (or in one place)."""
    shown = described(keys)
    head = {"keys": shown} if keys else {}
    first = Node("Aggregate", [*keys, *below], [root], {"type": "PARTIAL", **head}, partial)
    if keys:
        source = repartitioned(first, shown)
    else:
        remote = Node(REMOTE, below, [first], {"type": "GATHER"})
        source = Node("LocalExchange", below, [remote], {"partitioning": "SINGLE"})
    return Node("Aggregate", [*keys, *results], [source], {"type": "FINAL", **head}, final)


def distinct(root: Node, symbols: list[Symbol]) -> Node:
    return two_steps(root, list(dict.fromkeys(symbols)), [], [], [], [])


def filtered(root: Node, predicate: str) -> Node:
    if root.name == "TableScan":
        return Node(
            "ScanFilter",
            root.outputs,
            root.children,
            {**root.descriptor, "filterPredicate": predicate},
            root.details,
        )
    return Node("Filter", root.outputs, [root], {"filterPredicate": predicate})


def projected(root: Node, outputs: list[Symbol], computed: list[str]) -> Node:
    """Compute columns; directly above a scan or a filter this is one operation, as Trino has it."""
    merged = {"TableScan": "ScanProject", "ScanFilter": "ScanFilterProject", "Filter": "FilterProject"}
    if root.name in merged:
        return Node(merged[root.name], outputs, root.children, root.descriptor, [*computed, *root.details])
    return Node("Project", outputs, [root], {}, computed)
