"""What is synced: `meta.sync` of the models in the lake target's dbt manifest (target/lake/manifest.json).

    config:
      meta:
        sync:
          table: forecast_data                # or schema.table; public when no schema is named
          status_table: forecast_sync_status  # optional: one row a run is added to it
          key: [restaurant_id, inventory_item_id, business_date]
          columns: {y_50: "decimal(10,2) not null"}      # others by the default type map
          indexes: [[business_date], {columns: [dma_id], where: "dma_id is not null"}]

Refused with the model and the key at fault: an unknown key, a missing table or key, a type the sync cannot write, a
model that is not an Iceberg table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from penstock.errors import PlanError
from penstock.sync.columns import Column, parse_declared, resolve

_KEYS = {"table", "status_table", "key", "columns", "indexes"}
_NAME = re.compile(r"^[a-z_][a-z0-9_$]{0,62}$")
OWN_COLUMNS = ("id", "created_at", "updated_at")  # the sync's own, beside the lake's


@dataclass(frozen=True)
class Index:
    columns: tuple[str, ...]
    where: str = ""


@dataclass(frozen=True)
class Declaration:
    """One model's sync. `lake_database` and `lake_table` are its names in Glue."""

    model: str
    lake_database: str
    lake_table: str
    table: str
    key: tuple[str, ...]
    schema: str = "public"
    status_table: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    indexes: tuple[Index, ...] = ()

    def resolve(self, fields: list[dict[str, Any]]) -> list[Column]:
        """Return the columns to sync of an Iceberg schema (its JSON fields); raises PlanError where it does not fit."""
        return resolve(fields, self.columns, self.key, self.model)

    @property
    def target(self) -> str:
        """The table's name in Postgres, with its schema."""
        return f"{self.schema}.{self.table}"

    @property
    def lake(self) -> str:
        return f"{self.lake_database}.{self.lake_table}"

    @property
    def fingerprint(self) -> str:
        """Changes when the declaration does, so that a change of it is work even when the lake has none."""
        return sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def declarations(manifest: Path, select: Iterable[str] = ()) -> list[Declaration]:
    """Return the declared syncs, by model name; `select` keeps those models or Postgres tables.

    Raises: PlanError when the manifest is missing, a declaration is wrong, or nothing has a selected name.
    """
    try:
        nodes = json.loads(manifest.read_text())["nodes"]
    except FileNotFoundError:
        raise PlanError(
            f"{manifest.name} of the lake target is not there.",
            hint="Run `invoke build` first: dbt writes it.",
        ) from None
    found = []
    for node in nodes.values():
        meta = (node.get("config") or {}).get("meta") or node.get("meta") or {}
        if node.get("resource_type") == "model" and "sync" in meta:
            found.append(parse(node, meta["sync"]))
    found.sort(key=lambda declaration: declaration.model)
    _refuse_shared_targets(found)
    wanted = list(select)
    for name in wanted:
        if not any(name in (declaration.model, declaration.table) for declaration in found):
            known = ", ".join(declaration.model for declaration in found) or "none"
            raise PlanError(f"No model named '{name}' declares a sync.", hint=f"Declared: {known}.")
    return [item for item in found if not wanted or item.model in wanted or item.table in wanted]


def parse(node: dict[str, Any], sync: Any) -> Declaration:
    """Return one manifest node's declaration; raises PlanError naming the model and the key at fault."""
    model = node["name"]
    config = node.get("config") or {}
    if not isinstance(sync, dict):
        raise PlanError(f"{model}: meta.sync is not a mapping.")
    for name in sync:
        if name not in _KEYS:
            raise PlanError(
                f"{model}: meta.sync has no key '{name}'.", hint=f"Known: {', '.join(sorted(_KEYS))}."
            )
    kind = (config.get("table_type") or (config.get("_extra") or {}).get("table_type") or "hive").lower()
    if kind != "iceberg" or config.get("materialized") not in ("table", "incremental", "snapshot"):
        shown = config.get("materialized") if config.get("materialized") == "view" else f"{kind} table"
        raise PlanError(
            f"{model}: only Iceberg tables are synced; this model is a {shown}.",
            hint="Set table_type='iceberg' in its config: only Iceberg commits are atomic.",
        )
    schema, _, table = _text(model, "table", sync.get("table")).rpartition(".")
    key = _names(model, "key", sync.get("key"))
    return Declaration(
        model=model,
        lake_database=node["schema"],
        lake_table=node.get("alias") or model,
        schema=_name(model, "table", schema or "public"),
        table=_name(model, "table", table),
        key=key,
        status_table=_name(model, "status_table", sync["status_table"]) if sync.get("status_table") else "",
        columns=_columns(model, sync.get("columns") or {}),
        indexes=tuple(_index(model, item) for item in sync.get("indexes") or ()),
    )


def _text(model: str, key: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise PlanError(f"{model}: meta.sync.{key} is missing or is not a name.")
    return value


def _name(model: str, key: str, value: Any) -> str:
    if not _NAME.match(_text(model, key, value)):
        raise PlanError(f"{model}: meta.sync.{key}: '{value}' is no plain lower-case Postgres name.")
    return str(value)


def _names(model: str, key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or len(set(map(str, value))) != len(value):
        raise PlanError(f"{model}: meta.sync.{key} must be a list of different column names.")
    return tuple(_text(model, key, item) for item in value)


def _columns(model: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise PlanError(f"{model}: meta.sync.columns must map column names to types.")
    for name, declared in value.items():
        try:
            parse_declared(str(declared))
        except ValueError as error:
            raise PlanError(f"{model}: meta.sync.columns.{name}: {error}.") from None
    return {name: str(declared) for name, declared in value.items()}


def _index(model: str, value: Any) -> Index:
    if isinstance(value, dict):
        if set(value) - {"columns", "where"}:
            raise PlanError(
                f"{model}: meta.sync.indexes: an index has 'columns' and 'where', not {sorted(value)}."
            )
        return Index(_names(model, "indexes", value.get("columns")), str(value.get("where") or ""))
    return Index(_names(model, "indexes", value))


def _refuse_shared_targets(found: list[Declaration]) -> None:
    owners: dict[str, str] = {}
    for declaration in found:
        other = owners.setdefault(declaration.target, declaration.model)
        if other != declaration.model:
            raise PlanError(
                f"{declaration.model}: meta.sync.table '{declaration.table}' is already synced from {other}."
            )
