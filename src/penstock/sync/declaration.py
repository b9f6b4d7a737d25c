"""What is synced: `meta.sync` of the models in the lake target's dbt manifest (target/lake/manifest.json).

    config:
      meta:
        sync:
          table: forecast_data                # or schema.table; public when no schema is named
          status_table: forecast_sync_status  # optional: told of each run
          key: [restaurant_id, inventory_item_id, business_date]
          columns:                            # others by the default type map
            y_50: "decimal(10,2) not null"
            state: {type: "varchar(2) not null", expression: "upper(trim(state))"}
            shop: {from: dma_id}
          exclude: [raw_payload]
          indexes: [[business_date], {columns: [dma_id], where: "dma_id is not null"}]
          generated: {spread: {type: "numeric(11,2)", as: "y_95 - y_05"}}
          grants: {select: [reporting]}
          policies: [{name: own_state, to: [reporting], using: "state = current_setting('app.state')"}]
          tenants: {column: tenant_id}        # a policy and a grant: a role reads its own tenants' rows
          comments: true                      # the model's descriptions; true unless said otherwise

Refused with the model and the key at fault: an unknown key, a missing table or key, a type the sync cannot write, a
model that is not an Iceberg table. Expressions are read when a sync has work to do (expressions.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import Any

from penstock.errors import PlanError
from penstock.sync.columns import Column, parse_declared, resolve

_KEYS = (
    "table",
    "status_table",
    "key",
    "columns",
    "exclude",
    "indexes",
    "generated",
    "grants",
    "policies",
    "tenants",
    "comments",
)
_COLUMN_KEYS = ("type", "from", "expression")
_INDEX_KEYS = ("columns", "expression", "method", "unique", "include", "where", "opclass", "with")
_GENERATED_KEYS = ("type", "as", "stored")
_TENANTS_KEYS = ("column", "role")
_POLICY_KEYS = ("name", "for", "to", "using", "check")
_PRIVILEGES = ("select", "insert", "update", "delete", "truncate", "references", "trigger")
_COMMANDS = ("all", "select", "insert", "update", "delete")
_METHODS = ("btree", "hash", "gin", "gist", "spgist", "brin", "hnsw", "ivfflat")
_NAME = re.compile(r"^[a-z_][a-z0-9_$]{0,62}$")
TENANTS = "penstock_tenants"  # the group whose members are the tenants, unless declared otherwise
OWN_COLUMNS = ("id", "created_at", "updated_at")  # the sync's own, beside the lake's


@dataclass(frozen=True)
class Index:
    """An index over columns, or over one `expression`. `opclass` is the operator class of each column."""

    columns: tuple[str, ...]
    where: str = ""
    expression: str = ""
    method: str = "btree"
    unique: bool = False
    include: tuple[str, ...] = ()
    opclass: str = ""
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Generated:
    """A column that Postgres computes from others of the row; `stored`, or when it is read (Postgres 18)."""

    name: str
    type: str
    expression: str
    stored: bool = True


@dataclass(frozen=True)
class Policy:
    """A row-level security policy; `to` nobody in particular is everybody (public)."""

    name: str
    command: str = "all"
    to: tuple[str, ...] = ()
    using: str = ""
    check: str = ""


@dataclass(frozen=True)
class Declaration:
    """One model's sync. `lake_database` and `lake_table` are its names in Glue.

    What `tenants` declares stands among the grants and policies; `tenant` is its column, for whom that must be there.
    """

    model: str
    lake_database: str
    lake_table: str
    table: str
    key: tuple[str, ...]
    schema: str = "public"
    status_table: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    indexes: tuple[Index, ...] = ()
    renamed: dict[str, str] = field(default_factory=dict)
    expressions: dict[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    generated: tuple[Generated, ...] = ()
    grants: tuple[tuple[str, str], ...] = ()  # privilege, role
    policies: tuple[Policy, ...] = ()
    comments: dict[str, str] = field(default_factory=dict)  # by column; the table's own under ""
    tenant: str = ""

    def resolve(self, fields: list[dict[str, Any]]) -> list[Column]:
        """Return the columns to sync of an Iceberg schema (its JSON fields); raises PlanError where it does not fit."""
        return resolve(
            fields,
            self.columns,
            self.key,
            self.model,
            renamed=self.renamed,
            expressions=self.expressions,
            exclude=self.exclude,
        )

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
    _known(model, "", sync, _KEYS)
    kind = (config.get("table_type") or (config.get("_extra") or {}).get("table_type") or "hive").lower()
    if kind != "iceberg" or config.get("materialized") not in ("table", "incremental", "snapshot"):
        shown = config.get("materialized") if config.get("materialized") == "view" else f"{kind} table"
        raise PlanError(
            f"{model}: only Iceberg tables are synced; this model is a {shown}.",
            hint="Set table_type='iceberg' in its config: only Iceberg commits are atomic.",
        )
    schema, _, table = _text(model, "table", sync.get("table")).rpartition(".")
    key = _names(model, "key", sync.get("key"))
    columns = _columns(model, sync.get("columns") or {})
    grants, policies = _grants(model, sync.get("grants") or {}), _policies(model, sync.get("policies"))
    tenant = ""
    if "tenants" in sync:
        tenant, grant, policy = _tenants(model, sync["tenants"])
        if any(item.name == policy.name for item in policies):
            raise PlanError(f"{model}: meta.sync.policies.{policy.name}: that name is the one of 'tenants'.")
        grants, policies = tuple(dict.fromkeys((*grants, grant))), (*policies, policy)
    return Declaration(
        model=model,
        lake_database=node["schema"],
        lake_table=node.get("alias") or model,
        schema=_name(model, "table", schema or "public"),
        table=_name(model, "table", table),
        key=key,
        status_table=_name(model, "status_table", sync["status_table"]) if sync.get("status_table") else "",
        columns={name: item["type"] for name, item in columns.items() if "type" in item},
        renamed={name: item["from"] for name, item in columns.items() if "from" in item},
        expressions={name: item["expression"] for name, item in columns.items() if "expression" in item},
        exclude=_names(model, "exclude", sync["exclude"]) if sync.get("exclude") else (),
        indexes=tuple(_index(model, item) for item in _list(model, "indexes", sync.get("indexes"))),
        generated=_generated(model, sync.get("generated") or {}),
        grants=grants,
        policies=policies,
        comments=_comments(node) if _flag(model, "comments", sync.get("comments", True)) else {},
        tenant=tenant,
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
        raise PlanError(f"{model}: meta.sync.{key} must be a list of different names.")
    return tuple(_text(model, key, item) for item in value)


def _known(model: str, where: str, value: Iterable[str], known: Sequence[str]) -> None:
    """Refuse a key that is not known, and name the one that may have been meant."""
    for name in value:
        if name not in known:
            near = get_close_matches(str(name), known, 1)
            meant = f"Did you mean '{near[0]}'? " if near else ""
            place = f"meta.sync{where}"
            raise PlanError(
                f"{model}: {place} has no key '{name}'.", hint=f"{meant}Known: {', '.join(sorted(known))}."
            )


def _mapping(model: str, where: str, value: Any, known: Sequence[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise PlanError(f"{model}: meta.sync{where} must be a mapping of {', '.join(known)}.")
    _known(model, where, value, known)
    return value


def _list(model: str, key: str, value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise PlanError(f"{model}: meta.sync.{key} must be a list.")
    return value


def _flag(model: str, key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise PlanError(f"{model}: meta.sync.{key} must be true or false.")
    return value


def _columns(model: str, value: Any) -> dict[str, dict[str, str]]:
    """Return what is declared of each column: `type`, `from`, `expression`; a bare text is its type."""
    if not isinstance(value, dict):
        raise PlanError(f"{model}: meta.sync.columns must map column names to types.")
    found: dict[str, dict[str, str]] = {}
    for name, declared in value.items():
        where = f"columns.{name}"
        item = {"type": declared} if isinstance(declared, str) else declared
        if not isinstance(item, dict) or not item:
            raise PlanError(
                f"{model}: meta.sync.{where} must be a type, or a mapping of type, from, expression."
            )
        _known(model, f".{where}", item, _COLUMN_KEYS)
        if "from" in item and "expression" in item:
            raise PlanError(
                f"{model}: meta.sync.{where} has both 'from' and 'expression'; an expression can read any column."
            )
        found[str(name)] = {key: _text(model, f"{where}.{key}", text) for key, text in item.items()}
        if len(item) > 1 or "type" not in item:
            _name(model, "columns", str(name))
        if "type" not in item:
            continue
        try:
            parse_declared(item["type"])
        except ValueError as error:
            raise PlanError(f"{model}: meta.sync.{where}: {error}.") from None
    return found


def _index(model: str, value: Any) -> Index:
    if not isinstance(value, dict):
        return Index(_names(model, "indexes", value))
    _known(model, ".indexes", value, _INDEX_KEYS)
    if ("columns" in value) == ("expression" in value):
        raise PlanError(f"{model}: meta.sync.indexes: an index has either 'columns' or 'expression'.")
    method = str(value.get("method") or "btree").lower()
    if method not in _METHODS:
        raise PlanError(
            f"{model}: meta.sync.indexes: '{method}' is no index method.",
            hint=f"Known: {', '.join(_METHODS)}.",
        )
    options = value.get("with") or {}
    if not isinstance(options, dict):
        raise PlanError(f"{model}: meta.sync.indexes: 'with' must map storage parameters to values.")
    return Index(
        _names(model, "indexes", value["columns"]) if "columns" in value else (),
        str(value.get("where") or ""),
        str(value.get("expression") or ""),
        method,
        _flag(model, "indexes.unique", value.get("unique", False)),
        _names(model, "indexes.include", value["include"]) if value.get("include") else (),
        _name(model, "indexes.opclass", value["opclass"]) if value.get("opclass") else "",
        tuple(
            (_name(model, "indexes.with", name), str(setting)) for name, setting in sorted(options.items())
        ),
    )


def _generated(model: str, value: Any) -> tuple[Generated, ...]:
    if not isinstance(value, dict):
        raise PlanError(f"{model}: meta.sync.generated must map column names to type and as.")
    found = []
    for name, item in value.items():
        where = f"generated.{name}"
        _mapping(model, f".{where}", item, _GENERATED_KEYS)
        stored = _flag(model, f"{where}.stored", item.get("stored", True))
        kind, text = (
            _text(model, f"{where}.type", item.get("type")),
            _text(model, f"{where}.as", item.get("as")),
        )
        found.append(Generated(_name(model, "generated", name), kind, text, stored))
    return tuple(found)


def _grants(model: str, value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise PlanError(f"{model}: meta.sync.grants must map privileges to lists of roles.")
    _known(model, ".grants", value, _PRIVILEGES)
    return tuple(
        (name, role) for name, roles in value.items() for role in _names(model, f"grants.{name}", roles)
    )


def _policies(model: str, value: Any) -> tuple[Policy, ...]:
    found = []
    for item in _list(model, "policies", value):
        _mapping(model, ".policies", item, _POLICY_KEYS)
        name = _name(model, "policies.name", item.get("name"))
        command = str(item.get("for") or "all").lower()
        if command not in _COMMANDS:
            raise PlanError(
                f"{model}: meta.sync.policies.{name}: 'for' is one of {', '.join(_COMMANDS)}, not '{command}'."
            )
        using, check = str(item.get("using") or ""), str(item.get("check") or "")
        if not using and not check:
            raise PlanError(f"{model}: meta.sync.policies.{name} needs a condition: 'using' or 'check'.")
        to = _names(model, f"policies.{name}.to", item["to"]) if item.get("to") else ()
        found.append(Policy(name, command, to, using, check))
    if len({policy.name for policy in found}) != len(found):
        raise PlanError(f"{model}: meta.sync.policies names one policy twice.")
    return tuple(found)


def _tenants(model: str, value: Any) -> tuple[str, tuple[str, str], Policy]:
    """Return the tenants' column, and the grant and the policy that let a role read the rows of its tenants, and no other.

    A tenant is a role made a member of the group, called as the tenant's id; who has the privileges of that role reads
    its rows. The catalogs are asked once a statement (an initplan), so an index over the column serves.
    """
    _mapping(model, ".tenants", value, _TENANTS_KEYS)
    column = _name(model, "tenants.column", value.get("column"))
    group = _name(model, "tenants.role", value.get("role", TENANTS))
    using = (
        f'"{column}" = any (array('
        'select r.rolname::text collate "default" from pg_catalog.pg_auth_members as m'
        " inner join pg_catalog.pg_roles as r on r.oid = m.member"
        f" where m.roleid = (select g.oid from pg_catalog.pg_roles as g where g.rolname = '{group}')"
        " and pg_catalog.pg_has_role(r.oid, 'usage')))"
    )
    return column, ("select", group), Policy("own_tenants", "select", (group,), using)


def _comments(node: dict[str, Any]) -> dict[str, str]:
    texts = {name: item.get("description") for name, item in (node.get("columns") or {}).items()}
    found = {"": node.get("description"), **texts}
    return {name: " ".join(text.split()) for name, text in found.items() if text}


def _refuse_shared_targets(found: list[Declaration]) -> None:
    owners: dict[str, str] = {}
    for declaration in found:
        other = owners.setdefault(declaration.target, declaration.model)
        if other != declaration.model:
            raise PlanError(
                f"{declaration.model}: meta.sync.table '{declaration.table}' is already synced from {other}."
            )
