"""A plan's nodes, and how a plan is cut into fragments where its data is exchanged between workers."""

from __future__ import annotations

from dataclasses import dataclass, field

from athena_local.types import AthenaType

REMOTE = "RemoteExchange"
# what one value takes in Trino's memory, with its null flag; other types have no fixed size
_SIZES = {
    "boolean": 2, "tinyint": 2, "smallint": 3, "integer": 5, "real": 5, "date": 5, "bigint": 9, "double": 9, "timestamp": 9,
}  # fmt: skip


@dataclass(frozen=True)
class Symbol:
    name: str
    type: AthenaType | None

    def __str__(self) -> str:
        return f"{self.name}:{self.kind}"

    @property
    def kind(self) -> str:
        return self.type.trino() if self.type is not None else "unknown"


@dataclass
class Node:
    """One operation. `descriptor` is what stands in its brackets, `details` its assignments, `rows` known only of values."""

    name: str
    outputs: list[Symbol]
    children: list[Node] = field(default_factory=list)
    descriptor: dict[str, str] = field(default_factory=dict)
    details: list[str] = field(default_factory=list)
    rows: int | None = None

    @property
    def size(self) -> int | None:
        """Bytes of all rows, where they are known."""
        sizes = [_SIZES.get(symbol.type.base) if symbol.type else None for symbol in self.outputs]
        if self.rows is None or any(size is None for size in sizes):
            return None
        return self.rows * sum(size for size in sizes if size is not None)


@dataclass
class Fragment:
    """A stage: what runs on the same workers. `partitioning` is how its output is handed on."""

    number: int
    kind: str
    root: Node
    partitioning: str


def fragments(root: Node) -> list[Fragment]:
    """Return a plan's stages, the output first; remote exchanges become remote sources of a later stage."""
    found: list[Fragment] = []

    def cut(node: Node, number: int, partitioning: str) -> None:
        inside: list[Node] = []

        def copy(current: Node) -> Node:
            if current.name == REMOTE:
                source = Node(
                    "RemoteSource", current.outputs, [], {"sourceFragmentIds": "[?]"}, [], current.rows
                )
                waiting.append((current, source))
                inside.append(current)
                return source
            inside.append(current)
            return Node(
                current.name,
                current.outputs,
                [copy(child) for child in current.children],
                current.descriptor,
                current.details,
                current.rows,
            )

        waiting: list[tuple[Node, Node]] = []
        body = copy(node)
        found.append(Fragment(number, _kind(inside), body, partitioning))
        for exchange, source in waiting:
            following = len(found)
            source.descriptor["sourceFragmentIds"] = f"[{following}]"
            cut(exchange.children[0], following, _partitioning(exchange))

    cut(root, 0, "SINGLE []")
    return found


def _kind(nodes: list[Node]) -> str:
    if any("Scan" in node.name for node in nodes):
        return "SOURCE"
    exchanges = {node.descriptor.get("type") for node in nodes if node.name == REMOTE}
    return "HASH" if "REPARTITION" in exchanges else "SINGLE"


def _partitioning(exchange: Node) -> str:
    kind = exchange.descriptor.get("type", "GATHER")
    if kind == "REPARTITION":
        return f"HASH {exchange.descriptor.get('keys', '[]')}"
    return "BROADCAST []" if kind == "REPLICATE" else "SINGLE []"
