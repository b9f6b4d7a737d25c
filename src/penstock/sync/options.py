"""What hangs on a synced table beside its columns and its key: indexes, generated columns, grants, policies, comments.

They converge: what is declared and missing is made, what changed is made anew, and what is no longer declared is
dropped, if the sync made it. `penstock.sync_objects` remembers that, so what another hand made stays. What guards rows
(row-level security and its policies) is looked up in the catalog at each sync: dropped or disabled by another hand, it is
made again. Refused by name: a role that is not there, and whatever Postgres finds wrong in a declared condition or
expression.

An index is built in a transaction of its own (`build`): it blocks writers, of which the sync is the only one, but not
readers. CREATE INDEX CONCURRENTLY would spare writers, yet cannot be undone with the rest and leaves an invalid index
behind when it dies. A stored generated column that is added or changed rewrites the table, while readers wait.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from json import dumps

import psycopg

from penstock.errors import PlanError
from penstock.sync.columns import Column, quoted
from penstock.sync.declaration import Declaration, Generated, Index, Policy
from penstock.sync.state import Connection

_PUBLIC = "public"  # everybody: a word of SQL, no role

# The order in which things are dropped: what may depend on another before it.
_KINDS = ("comment", "policy", "row-level security", "index", "grant", "generated column")


# What a row of an HNSW index takes while it is built, beside its vector: its neighbours, 16 a layer and 32 in the lowest.
GRAPH_ROW_BYTES = 1_200
# Most memory that the building of one takes from the server: 256 MB to 2 GB. 200,000 vectors of 1,024 numbers fit in 1 GB;
# less makes larger indexes slower, more may be what a small server has not got.
GRAPH_MOST_BYTES = 1024**3
_GUARDING = ("policy", "row-level security")


@dataclass(frozen=True)
class Thing:
    """One object on a table: what it is called, what it is (a change of it makes it anew), and what makes it."""

    kind: str
    name: str
    definition: str
    make: tuple[str, ...]

    @property
    def shown(self) -> str:
        return f"{self.kind} {self.name}" if self.name else self.kind


def table_name(declaration: Declaration) -> str:
    return f"{quoted(declaration.schema)}.{quoted(declaration.table)}"


def index_name(declaration: Declaration, wanted: Index) -> str:
    """Return the index's name: table and columns, and a digest of all else and of what Postgres would cut off."""
    name = "_".join((declaration.table, *wanted.columns)) if wanted.columns else f"{declaration.table}_expr"
    rest = (wanted.expression, wanted.method, wanted.unique, wanted.include, wanted.opclass, wanted.options)
    if rest != ("", "btree", False, (), "", ()):
        name += "_" + sha256(dumps([wanted.where, *rest]).encode()).hexdigest()[:6]
    elif wanted.where:
        name += "_" + sha256(wanted.where.encode()).hexdigest()[:6]
    if len(name) > 59:
        name = name[:50] + "_" + sha256(name.encode()).hexdigest()[:8]
    return f"{name}_idx"


def index_sql(declaration: Declaration, wanted: Index) -> str:
    """Return the statement that builds an index."""
    parts = [f"({wanted.expression})"] if wanted.expression else [quoted(name) for name in wanted.columns]
    columns = ", ".join(f"{part} {wanted.opclass}".rstrip() for part in parts)
    statement = f"create {'unique ' if wanted.unique else ''}index {quoted(index_name(declaration, wanted))}"
    statement += f" on {table_name(declaration)} using {wanted.method} ({columns})"
    if wanted.include:
        statement += f" include ({', '.join(map(quoted, wanted.include))})"
    if wanted.options:
        statement += f" with ({', '.join(f'{name} = {value}' for name, value in wanted.options)})"
    return statement + (f" where {wanted.where}" if wanted.where else "")


def generated_sql(wanted: Generated) -> str:
    """Return the column's definition."""
    kept = "stored" if wanted.stored else "virtual"
    return f"{quoted(wanted.name)} {wanted.type} generated always as ({wanted.expression}) {kept}"


def check(declaration: Declaration, columns: Sequence[Column]) -> None:
    """Raises PlanError where a declared option names a column that there is not, or takes one that there is."""
    names = {column.name for column in columns} | {wanted.name for wanted in declaration.generated}
    for wanted in declaration.generated:
        if any(column.name == wanted.name for column in columns):
            raise PlanError(
                f"{declaration.model}: meta.sync.generated.{wanted.name} is a column of the lake too."
            )
    for index in declaration.indexes:
        for name in (*index.columns, *index.include):
            if name not in names:
                raise PlanError(
                    f"{declaration.model}: meta.sync.indexes names column '{name}', which is not in the lake."
                )
    if declaration.tenant and declaration.tenant not in names:
        raise PlanError(
            f"{declaration.model}: meta.sync.tenants names column '{declaration.tenant}', which is not synced."
        )


def converge(connection: Connection, declaration: Declaration) -> list[str]:
    """Make, change and drop all but indexes, which are dropped here and built by `build`; returns what was done."""
    known, there = _remembered(connection, declaration), _columns(connection, declaration)
    wanted = [*_generated(declaration), *_grants(declaration), *_policies(connection, declaration, known)]
    owner = _owns(connection, declaration)
    if owner:
        wanted += _comments(declaration, there | {item.name for item in declaration.generated})
    _check_roles(connection, declaration)
    keep = {(item.kind, item.name) for item in (*wanted, *_indexes(declaration))}
    done = []
    for kind, name in sorted(known.keys() - keep, key=lambda item: (_KINDS.index(item[0]), item[1])):
        if kind == "comment" and not owner:
            continue
        if kind != "comment" or not name or name in there:
            connection.execute(_drop(declaration, kind, name).encode())
        _forget(connection, declaration, kind, name)
        done.append(f"dropped {kind} {name}".rstrip())
    guards = _guards(connection, declaration) if declaration.policies else set()
    for item in wanted:
        before = known.get((item.kind, item.name))
        if item.kind in _GUARDING and (item.kind, item.name) not in guards:
            before = None
        if before == item.definition:
            continue
        with _named(declaration, item):
            if before is not None and item.kind == "generated column":
                connection.execute(_drop(declaration, item.kind, item.name).encode())
            for statement in item.make:
                connection.execute(statement.encode())
        remember(connection, declaration, item)
        done.append(item.shown if before is None else f"changed {item.shown}")
    return done


def guard(connection: Connection, declaration: Declaration) -> None:
    """Guard a table made this moment, before it has a row: shards commit theirs long before its grants are made."""
    if not declaration.policies:
        return
    _check_roles(connection, declaration)
    for item in _policies(connection, declaration, ()):
        with _named(declaration, item):
            for statement in item.make:
                connection.execute(statement.encode())
        remember(connection, declaration, item)


def is_guarded(connection: Connection, declaration: Declaration) -> bool:
    """Whether the declared policies are there and in force; asks nothing where none is declared."""
    if not declaration.policies:
        return True
    wanted = {("row-level security", ""), *(("policy", policy.name) for policy in declaration.policies)}
    return wanted <= _guards(connection, declaration)


def missing_indexes(connection: Connection, declaration: Declaration) -> list[Thing]:
    """Return the declared indexes that are not there, or are there unfinished."""
    return [item for item in _indexes(declaration) if not _is_built(connection, declaration, item.name)]


def build(connection: Connection, declaration: Declaration) -> list[str]:
    """Build the declared indexes that are missing; returns what was done."""
    done = []
    missing = {item.name for item in missing_indexes(connection, declaration)}
    for wanted, item in zip(declaration.indexes, _indexes(declaration), strict=True):
        if item.name in missing:
            with _named(declaration, item):
                if wanted.method == "hnsw":
                    _build_graph(connection, declaration, wanted, item.make[0])
                else:
                    connection.execute(item.make[0].encode())
            done.append(item.shown)
        remember(connection, declaration, item)
    return done


def begin(connection: Connection, declaration: Declaration) -> None:
    """Note what a table has that was made this moment, its generated columns, and forget what a former one had."""
    connection.execute("delete from penstock.sync_objects where target = %s", [declaration.target])
    for item in _generated(declaration):
        remember(connection, declaration, item)


# -- what is wanted ------------------------------------------------------------------------------------------------------


def _indexes(declaration: Declaration) -> list[Thing]:
    found = []
    for wanted in declaration.indexes:
        name, statement = index_name(declaration, wanted), index_sql(declaration, wanted)
        found.append(Thing("index", name, statement, (statement,)))
    return found


def _generated(declaration: Declaration) -> list[Thing]:
    alter = f"alter table {table_name(declaration)}"
    return [
        Thing(
            "generated column",
            wanted.name,
            generated_sql(wanted),
            (f"{alter} add column {generated_sql(wanted)}",),
        )
        for wanted in declaration.generated
    ]


def _grants(declaration: Declaration) -> list[Thing]:
    table, found = table_name(declaration), []
    for privilege, role in declaration.grants:
        make = [f"grant {privilege} on {table} to {_role(role)}"]
        if declaration.schema != "public":
            make.insert(0, f"grant usage on schema {quoted(declaration.schema)} to {_role(role)}")
        found.append(Thing("grant", f"{privilege} to {role}", "", tuple(make)))
    return found


def _policies(
    connection: Connection, declaration: Declaration, known: Collection[tuple[str, str]]
) -> list[Thing]:
    if not declaration.policies:
        return []
    table, security = table_name(declaration), "row-level security"
    row = connection.execute(
        "select relrowsecurity from pg_class where oid = to_regclass(%s)", [table]
    ).fetchone()
    found = []
    if (
        row != (True,) or (security, "") in known
    ):  # where another hand enabled it, it is not the sync's to disable
        found.append(Thing(security, "", "", (f"alter table {table} enable row level security",)))
    for policy in declaration.policies:
        definition = _policy_sql(table, policy)
        made = (_drop(declaration, "policy", policy.name), definition)
        found.append(Thing("policy", policy.name, definition, made))
    return found


def _policy_sql(table: str, policy: Policy) -> str:
    statement = f"create policy {quoted(policy.name)} on {table} for {policy.command}"
    statement += " to " + (", ".join(map(_role, policy.to)) or _PUBLIC)
    if policy.using:
        statement += f" using ({policy.using})"
    return statement + (f" with check ({policy.check})" if policy.check else "")


def _comments(declaration: Declaration, there: Collection[str]) -> list[Thing]:
    """The model's descriptions of the table and of those columns that it has."""
    found = []
    for column, text in declaration.comments.items():
        if not column or column in there:
            make = f"comment on {_commented(declaration, column)} is {_text(text)}"
            found.append(Thing("comment", column, text, (make,)))
    return found


def _commented(declaration: Declaration, column: str) -> str:
    table = table_name(declaration)
    return f"column {table}.{quoted(column)}" if column else f"table {table}"


def _drop(declaration: Declaration, kind: str, name: str) -> str:
    """Return the statement that drops what was made; `kind` and `name` are a Thing's."""
    table = table_name(declaration)
    if kind == "index":
        return f"drop index if exists {quoted(declaration.schema)}.{quoted(name)}"
    if kind == "generated column":
        return f"alter table {table} drop column if exists {quoted(name)}"
    if kind == "grant":
        privilege, _, role = name.partition(" to ")
        return f"revoke {privilege} on {table} from {_role(role)}"
    if kind == "policy":
        return f"drop policy if exists {quoted(name)} on {table}"
    if kind == "row-level security":
        return f"alter table {table} disable row level security"
    return f"comment on {_commented(declaration, name)} is null"


def _columns(connection: Connection, declaration: Declaration) -> set[str]:
    rows = connection.execute(
        "select attname from pg_attribute where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped",
        [table_name(declaration)],
    ).fetchall()
    return {row[0] for row in rows}


def _build_graph(connection: Connection, declaration: Declaration, wanted: Index, statement: str) -> None:
    """Build an index of vectors in memory that holds its graph, and without workers where the server has no room to share.

    Once the graph no longer fits, each row is put into the index on disk: 100,000 vectors of 1,024 numbers took 327 s in
    256 MB and 194 s in 700 MB, both on a busy machine. Workers share the memory by /dev/shm, which a container may have
    too little of.
    """
    (before,) = connection.execute("select current_setting('maintenance_work_mem')").fetchone() or ("",)
    row = connection.execute(
        f"select count(*), (select max(atttypmod) from pg_attribute where attrelid = %s::regclass and attname = any(%s)),"
        f" pg_size_bytes(%s) from {table_name(declaration)}".encode(),
        [table_name(declaration), list(wanted.columns), before],
    ).fetchone()
    rows, dimensions, given = row or (0, 0, 0)
    needed = rows * (4 * max(dimensions or 0, 0) + GRAPH_ROW_BYTES)
    kilobytes = max(given, min(needed, GRAPH_MOST_BYTES)) // 1024
    connection.execute("select set_config('maintenance_work_mem', %s, true)", [f"{kilobytes}kB"])
    try:
        with connection.transaction():
            connection.execute(statement.encode())
    except (psycopg.errors.DiskFull, psycopg.errors.OutOfMemory):
        connection.execute("select set_config('max_parallel_maintenance_workers', '0', true)")
        connection.execute(statement.encode())
    connection.execute("select set_config('maintenance_work_mem', %s, true)", [before])


# -- helpers -------------------------------------------------------------------------------------------------------------


def _role(name: str) -> str:
    return _PUBLIC if name == _PUBLIC else quoted(name)


def _text(value: str) -> str:
    """Return an SQL literal that means the same whatever standard_conforming_strings says."""
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"


def _check_roles(connection: Connection, declaration: Declaration) -> None:
    places = [("grants", role) for _, role in declaration.grants]
    places += [(f"policies.{policy.name}", role) for policy in declaration.policies for role in policy.to]
    if not places:
        return
    rows = connection.execute("select rolname from pg_roles").fetchall()
    there = {_PUBLIC, *(row[0] for row in rows)}
    for place, role in places:
        if role not in there:
            raise PlanError(
                f"{declaration.model}: meta.sync.{place} names role '{role}', which is not in Postgres.",
                hint=f"Create it (`create role {role}`), or take it out of the declaration.",
            )


@contextmanager
def refused(declaration: Declaration, what: str, statement: str = "") -> Iterator[None]:
    """Tell what Postgres finds wrong in something declared (SQLSTATE class 42, but a privilege) by its name."""
    try:
        yield
    except psycopg.Error as error:
        if not (error.sqlstate or "").startswith("42") or error.sqlstate == "42501":
            raise
        raise PlanError(
            f"{declaration.model}: meta.sync: {what} cannot be made in {declaration.target}: {error.diag.message_primary}.",
            hint=f"Postgres was told: {statement}" if statement else "Look at meta.sync.generated.",
        ) from error


def _named(declaration: Declaration, item: Thing) -> AbstractContextManager[None]:
    return refused(declaration, item.shown, item.make[-1])


def _owns(connection: Connection, declaration: Declaration) -> bool:
    """Whether the sync's role may comment on the table: a role that may only write rows syncs without."""
    row = connection.execute(
        "select pg_has_role(relowner, 'usage') from pg_class where oid = to_regclass(%s)",
        [table_name(declaration)],
    ).fetchone()
    return row == (True,)


def _is_built(connection: Connection, declaration: Declaration, name: str) -> bool:
    row = connection.execute(
        "select indisvalid from pg_index where indexrelid = to_regclass(%s)",
        [f"{quoted(declaration.schema)}.{quoted(name)}"],
    ).fetchone()
    return row == (True,)


def _guards(connection: Connection, declaration: Declaration) -> set[tuple[str, str]]:
    """Return the policies on the table, and row-level security where it is enabled, by kind and name."""
    rows = connection.execute(
        "select 'row-level security', '' from pg_class where oid = to_regclass(%(table)s) and relrowsecurity"
        " union all select 'policy', polname from pg_policy where polrelid = to_regclass(%(table)s)",
        {"table": table_name(declaration)},
    ).fetchall()
    return {(row[0], row[1]) for row in rows}


def _remembered(connection: Connection, declaration: Declaration) -> dict[tuple[str, str], str]:
    """Return the definitions of what the sync made on the table, by kind and name."""
    rows = connection.execute(
        "select kind, name, definition from penstock.sync_objects where target = %s", [declaration.target]
    ).fetchall()
    return {(row[0], row[1]): row[2] for row in rows if row[0] in _KINDS}


def remember(connection: Connection, declaration: Declaration, item: Thing) -> None:
    """Note that the sync made an object."""
    connection.execute(
        "insert into penstock.sync_objects (target, kind, name, definition) values (%s, %s, %s, %s)"
        " on conflict (target, kind, name) do update set definition = excluded.definition",
        [declaration.target, item.kind, item.name, item.definition],
    )


def _forget(connection: Connection, declaration: Declaration, kind: str, name: str) -> None:
    connection.execute(
        "delete from penstock.sync_objects where target = %s and kind = %s and name = %s",
        [declaration.target, kind, name],
    )
