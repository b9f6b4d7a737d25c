"""What must be in the lake: the declared sources, and the marts above them as the last build's manifest describes them.

Nothing here knows a domain. A mart belongs to every source that its lineage reaches. One whose unique key is the key of the
landed table that it is staged from has that table's grain: only of such a mart must the rows equal the staged ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock.errors import BuildError
from penstock.sources import Source, Table, declared
from penstock.sync.declaration import Declaration, parse
from penstock.transform.build import is_serving

Partition = tuple[str, str]  # Iceberg's transform, column

FORMAT_PROPERTY = "write.format.default"
CODEC_PROPERTY = "write.parquet.compression-codec"
_MATERIALIZED = ("table", "incremental")
_SIMPLE = {
    "varchar": "string",
    "char": "string",
    "string": "string",
    "tinyint": "int",
    "smallint": "int",
    "integer": "int",
    "int": "int",
    "bigint": "long",
    "real": "float",
    "varbinary": "binary",
}
_TRANSFORM = re.compile(r"(year|month|day|hour|bucket|truncate)s?\((?:(\d+), ?)?(\w+)\)")


@dataclass(frozen=True)
class Grain:
    """The landed table whose rows, one a key, a mart holds; `view` is the staging view between them, as Athena names it."""

    table: Table
    view: str

    @property
    def day(self) -> str:
        """The key's first column of days or moments, by whose months rows are counted; empty where it has none."""
        return next(
            (name for name in self.table.key if self.table.by_name[name].kind in ("date", "timestamp")), ""
        )

    @property
    def other(self) -> str:
        """The key's first other column, by whose values a month that differs is looked into; empty where it has none."""
        return next((name for name in self.table.key if name != self.day), "")


@dataclass(frozen=True)
class Mart:
    """One table that a build makes. `columns` in the contract's order, types as Iceberg names them."""

    model: str
    database: str
    table: str
    iceberg: bool
    columns: Mapping[str, str]
    partitions: tuple[Partition, ...]
    properties: Mapping[str, str]
    codec: str
    grain: Grain | None = None
    declaration: Declaration | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        return f"{self.database}.{self.table}"

    @property
    def quoted(self) -> str:
        return f'"{self.database}"."{self.table}"'


def marts(manifest: Path, source: Source) -> list[Mart]:
    """Return the marts above a source, by model name.

    Raises: BuildError where no build has written a manifest yet, PlanError for a `meta.sync` that is wrong.
    """
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BuildError("No build has written a manifest yet.", hint="invoke build") from None
    nodes = content["nodes"]
    sources = {key: found for key, found in content["sources"].items() if found["source_name"] == source.name}
    above = _above(nodes, set(sources))
    return sorted(
        (
            _mart(nodes[key], nodes, sources, source)
            for key in above
            if nodes[key]["config"].get("materialized") in _MATERIALIZED
        ),
        key=lambda mart: mart.model,
    )


def _above(nodes: Mapping[str, Any], roots: set[str]) -> set[str]:
    """Return the lake's models that read one of the roots, directly or not."""
    models = {
        key: node for key, node in nodes.items() if node["resource_type"] == "model" and not is_serving(node)
    }
    found: set[str] = set()
    grown = True
    while grown:
        more = {
            key
            for key, node in models.items()
            if key not in found and (roots | found).intersection(node["depends_on"]["nodes"])
        }
        found |= more
        grown = bool(more)
    return found


def _mart(
    node: Mapping[str, Any], nodes: Mapping[str, Any], sources: Mapping[str, Any], source: Source
) -> Mart:
    config = {**(node["config"].get("_extra") or {}), **node["config"]}
    iceberg = str(config.get("table_type") or "hive").lower() == "iceberg"
    codec = str(config.get("write_compression") or "").lower()
    properties = {
        FORMAT_PROPERTY: str(config.get("format") or "parquet").lower(),
        **({CODEC_PROPERTY: codec} if codec else {}),
        **_properties(config.get("table_properties") or {}),
    }
    sync = (config.get("meta") or {}).get("sync")
    return Mart(
        model=str(node["name"]),
        database=str(node["schema"]),
        table=str(node.get("alias") or node["name"]),
        iceberg=iceberg,
        columns={
            name: iceberg_type(str(column["data_type"]))
            for name, column in node["columns"].items()
            if column.get("data_type")
        },
        partitions=tuple(partition(str(text)) for text in config.get("partitioned_by") or ()),
        properties=properties if iceberg else {},
        codec=codec,
        grain=_grain(node, nodes, sources, source),
        declaration=parse(dict(node), sync) if sync else None,
    )


# what Athena calls a property of an Iceberg table, and Iceberg
_ATHENAS = {"format": FORMAT_PROPERTY, "write_compression": CODEC_PROPERTY}


def _properties(given: Mapping[str, Any]) -> dict[str, str]:
    """Return a model's `table_properties` that end up in Iceberg's metadata under a name known here."""
    named = {_ATHENAS.get(str(name).lower(), str(name)): str(value) for name, value in given.items()}
    return {name: value for name, value in named.items() if "." in name}


def _grain(
    node: Mapping[str, Any], nodes: Mapping[str, Any], sources: Mapping[str, Any], source: Source
) -> Grain | None:
    unique = node["config"].get("unique_key") or ()
    key = {unique} if isinstance(unique, str) else set(unique)
    for parent in node["depends_on"]["nodes"]:
        staging = nodes.get(parent)
        if staging is None or staging["config"].get("materialized") != "view":
            continue
        read = [sources[name] for name in staging["depends_on"]["nodes"] if name in sources]
        landed = [table for table in source.tables if len(read) == 1 and table.name == read[0]["identifier"]]
        if landed and set(landed[0].key) == key:
            return Grain(landed[0], f'"{staging["schema"]}"."{staging.get("alias") or staging["name"]}"')
    return None


def partition(text: str) -> Partition:
    """Return an entry of `partitioned_by` as Iceberg's spec has it: a transform of a column, or the column itself."""
    found = _TRANSFORM.fullmatch(text.strip().lower())
    if found is None:
        return "identity", text.strip().strip('"`').lower()
    name, width, column = found.groups()
    return f"{name}[{width}]" if width else name, column


def iceberg_type(text: str) -> str:
    """Return a type of a contract or of Athena's DDL in Iceberg's words: varchar(2): string, array(double): list<double>."""
    plain = re.sub(r"\s+", " ", text.strip().lower())
    if plain.startswith("timestamp"):
        return "timestamptz" if "time zone" in plain else "timestamp"
    base, _, rest = plain.replace("<", "(", 1).partition("(")
    inner = rest[:-1] if rest else ""
    if base == "array":
        return f"list<{iceberg_type(inner)}>"
    if base == "map":
        return f"map<{', '.join(iceberg_type(part) for part in _split(inner))}>"
    if base in ("row", "struct"):
        fields = (re.split("[ :]", part.strip(), maxsplit=1) for part in _split(inner))
        return f"struct<{', '.join(f'{name}: {iceberg_type(kind)}' for name, kind in fields)}>"
    if base == "decimal":
        return f"decimal({','.join(part.strip() for part in inner.split(','))})"
    return _SIMPLE.get(base.strip(), plain)


def field_type(found: Any) -> str:
    """Return the type of an Iceberg schema's JSON in the same words."""
    if isinstance(found, str):
        return found.replace(" ", "")
    if found["type"] == "list":
        return f"list<{field_type(found['element'])}>"
    if found["type"] == "map":
        return f"map<{field_type(found['key'])}, {field_type(found['value'])}>"
    fields = (f"{item['name']}: {field_type(item['type'])}" for item in found["fields"])
    return f"struct<{', '.join(fields)}>"


def _split(text: str) -> Sequence[str]:
    """Return the parts between commas that no bracket holds together."""
    parts, depth = [""], 0
    for sign in text:
        depth += (sign in "(<") - (sign in ")>")
        if sign == "," and not depth:
            parts.append("")
        else:
            parts[-1] += sign
    return [part.strip() for part in parts]


def sources_of(name: str) -> list[Source]:
    """Return the source of a name, or all declared ones; raises LandingError for a name that is none."""
    from penstock.sources import get

    return [get(name)] if name else list(declared().values())
