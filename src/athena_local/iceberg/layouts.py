"""How a Parquet file lays a schema out: each field found by its id at any depth, whatever the file calls it.

DuckDB finds top-level columns by id itself. That is enough until something inside a column changes; then, and for files
without ids (other engines add them under a name mapping), the file's own tree is read from its footer and every value is
put together from the fields it has.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyiceberg import types
from pyiceberg.table.name_mapping import MappedField, NameMapping, parse_mapping_from_json
from pyiceberg.transforms import IdentityTransform

from athena_local.iceberg import partitions
from athena_local.iceberg.schema import changed_inside, duckdb_type, text
from athena_local.types import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.manifest import DataFile
    from pyiceberg.schema import Schema
    from pyiceberg.types import IcebergType

    from athena_local.engine.session import Session
    from athena_local.iceberg.planning import Plan, PlannedFile
    from athena_local.iceberg.table import IcebergTable

NAME_MAPPING = "schema.name-mapping.default"  # set when files without field ids were added to a table

_REPEATED = {"list", "key_value", "bag", "map"}  # the group between a list or map and what it holds
_SPELLED = {"array": "element", "item": "element", "array_element": "element"}  # by older writers


@dataclass
class Node:
    """A column or field as a file has it."""

    name: str
    field_id: int | None = None
    children: list[Node] = field(default_factory=list)

    def child(self, field_id: int) -> Node | None:
        return next((node for node in self.children if node.field_id == field_id), None)


def groups(
    session: Session, planned: Plan, schema: Schema
) -> list[tuple[dict[str, str] | None, list[PlannedFile]]]:
    """Return the files by layout: None for those that DuckDB reads by field id itself, else {column: its expression}.

    `schema` is the one to read them with.
    """
    table = planned.table
    named = NAME_MAPPING in table.metadata.properties
    if not planned.files or not (named or changed_inside([*table.metadata.schemas, planned.schema])):
        return [(None, planned.files)] if planned.files else []
    trees = _trees(session, [data_file for data_file, _ in planned.files])
    found: dict[Any, tuple[dict[str, str] | None, list[PlannedFile]]] = {}
    for entry in planned.files:
        root = trees[entry[0].file_path]
        if named and not any(node.field_id is not None for node in _walk(root)):
            _number(root, list(_mapping(table, schema)))
        columns = _columns(planned, schema, root, entry[0])
        found.setdefault(tuple(columns.items()), (columns, []))[1].append(entry)
    return list(found.values())


def _trees(session: Session, files: list[DataFile]) -> dict[str, Node]:
    paths = ", ".join(text(item.file_path) for item in files)
    rows = session.execute(
        f"SELECT file_name, name, num_children, field_id FROM parquet_schema([{paths}])"
    ).fetchall()
    by_file: dict[str, list[Any]] = defaultdict(list)
    for path, *row in rows:
        by_file[path].append(row)
    return {path: _tree(iter(rows)) for path, rows in by_file.items()}


def _tree(rows: Iterator[Any]) -> Node:
    """Return the node that comes next in a footer, which lists parents before their children."""
    name, count, field_id = next(rows)
    return Node(name, field_id, [_tree(rows) for _ in range(count or 0)])


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _walk(child)


def _mapping(table: IcebergTable, schema: Schema) -> NameMapping:
    try:
        return parse_mapping_from_json(table.metadata.properties[NAME_MAPPING])
    except ValueError:
        return schema.name_mapping


def _number(node: Node, mapping: list[MappedField]) -> None:
    """Give a file without ids those that the mapping has for its names."""
    for child in node.children:
        if child.name in _REPEATED and len(node.children) == 1:
            _number(child, mapping)
            continue
        names = {child.name, _SPELLED.get(child.name, child.name)}
        for mapped in mapping:
            if names & set(mapped.names):
                child.field_id = mapped.field_id
                _number(child, mapped.fields)
                break


def _columns(planned: Plan, schema: Schema, root: Node, data_file: DataFile) -> dict[str, str]:
    found = {}
    for part in schema.fields:
        node = root.child(part.field_id)
        if node is None:
            value = _from_partition(planned, data_file, part)
        else:
            value = _value(quote(node.name), node, part.field_type, 0)
        found[part.name] = f"CAST({value} AS {duckdb_type(part.field_type)})"
    return found


def _from_partition(planned: Plan, data_file: DataFile, part: types.NestedField) -> str:
    """Return a column that a file leaves out because its directory tells it, as Hive's do; NULL for any other."""
    spec = planned.table.metadata.specs()[data_file.spec_id]
    for number, partition in enumerate(spec.fields):
        if partition.source_id == part.field_id and isinstance(partition.transform, IdentityTransform):
            return partitions.literal(data_file.partition[number], part.field_type)
    return "NULL"


def _value(expression: str, node: Node, kind: IcebergType, depth: int) -> str:
    """Return the expression of a value of the wanted type, from the one that names it in the file."""
    if isinstance(kind, types.StructType):
        fields = []
        for part in kind.fields:
            child = node.child(part.field_id)
            inner = (
                f"CAST(NULL AS {duckdb_type(part.field_type)})"
                if child is None
                else _value(
                    f"struct_extract({expression}, {text(child.name)})", child, part.field_type, depth
                )
            )
            fields.append(f"{quote(part.name)} := {inner}")
        return f"CASE WHEN {expression} IS NOT NULL THEN struct_pack({', '.join(fields)}) END"
    item = f"e{depth}"
    if isinstance(kind, types.ListType):
        element = _inner(node, kind.element_id)
        if element is None:
            return expression
        inner = _value(item, element, kind.element_type, depth + 1)
        return f"list_transform({expression}, lambda {item}: {inner})"
    if isinstance(kind, types.MapType):
        key, value = _inner(node, kind.key_id), _inner(node, kind.value_id)
        if key is None or value is None:
            return expression
        inner_key = _value(f"{item}.key", key, kind.key_type, depth + 1)
        inner_value = _value(f"{item}.value", value, kind.value_type, depth + 1)
        pairs = f"lambda {item}: struct_pack(k := {inner_key}, v := {inner_value})"
        return f"map_from_entries(list_transform(map_entries({expression}), {pairs}))"
    return expression


def _inner(node: Node, field_id: int) -> Node | None:
    return next(
        (
            found
            for child in node.children
            for found in (child, *child.children)
            if found.field_id == field_id
        ),
        None,
    )
