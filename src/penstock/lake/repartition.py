"""Give an Iceberg table another partitioning without a moment in which it is missing, wrong or empty.

The new layout is a table of its own beside the old one, filled by CTAS and INSERTs and proved equal by counts and
checksums of the very snapshot that is current. Then one UpdateTable, on condition that nobody has committed meanwhile,
moves the name to the new metadata. The old layout is kept, under a name of its own, until `finish`; `abort` goes back to
it, with what was built since.

Killed anywhere, run again: what is copied is compared and not remembered, where the name points is asked of the catalog, and
the rest is one object of state (`migrations`). Refuses a table that somebody made anew meanwhile, columns that changed
since the move (abort only), and a table that is partitioned so already.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from penstock.connections import Connections
from penstock.errors import LakeConflictError, LakeError
from penstock.lake import migrations
from penstock.lake.copying import Checkpoint, Copier, Cost, Group, Proof, Say, ctas
from penstock.lake.layouts import Term, layout_of, parse_layout
from penstock.lake.migrations import Migration
from penstock.lake.tables import (
    TableName,
    Version,
    delete_files,
    forget,
    logged,
    read_version,
    register,
    stored_files,
    swap,
)

# Rounds of copying and proving. A quiet table needs two; each further one means that somebody committed in between.
ROUNDS = 12
# Properties that say where files go: they belong to a location, not to a table's content.
_PLACES = ("write.data.path", "write.metadata.path", "write.object-storage", "write.folder-storage")

Position = Literal["old", "new", "other"]


@dataclass(frozen=True)
class Repartitioned:
    """What a repartition or an abort did. `groups` of rows were proved equal; rows copied, a catch-up's included."""

    name: TableName
    by: tuple[str, ...]
    kept: TableName | None
    groups: int
    cost: Cost
    seconds: float


@dataclass(frozen=True)
class Standing:
    """Where an unfinished repartition stands: which layout the name points to, and what is wanted."""

    migration: Migration
    position: Position


def standing(connections: Connections, name: TableName) -> Standing | None:
    """Return where the table's repartition stands; None when none is under way."""
    migration = migrations.find(connections, name)
    return None if migration is None else Standing(migration, _position(connections, migration))


def repartition(
    connections: Connections,
    name: TableName,
    by: str,
    *,
    checkpoint: Checkpoint = lambda _: None,
    say: Say = lambda _: None,
) -> Repartitioned:
    """Move the table to the layout `by` ("tenant_id,year,month"), or go on with a repartition that was interrupted.

    Raises: LakeError for a layout or a table that cannot be, or one that changes faster than it is copied; LakeConflictError
    when another run has taken over.
    """
    started = time.monotonic()
    migration = _resumed(connections, migrations.find(connections, name), by, checkpoint, say)
    if migration is None:
        version = read_version(connections, name)
        terms = parse_layout(by, version.fields())
        if terms == layout_of(version):
            raise LakeError(f"{name} is partitioned by {', '.join(term.text for term in terms)} already.")
        migration = migrations.begin(
            connections, name, tuple(term.text for term in terms), version.uuid, version.base
        )
        checkpoint("begun")
    move = _Move(connections, migration, checkpoint, say)
    if _position(connections, migration) == "old":
        move.forward()
    move.settle()
    return Repartitioned(
        name, migration.by, migration.before, move.groups, move.cost, time.monotonic() - started
    )


def finish(connections: Connections, name: TableName, *, checkpoint: Checkpoint = lambda _: None) -> int:
    """Delete the layout that the table no longer has, and the state; return the bytes deleted.

    Raises: LakeError while the name still points to the old layout, or when there is nothing to finish.
    """
    migration = _required(connections, name)
    if _position(connections, migration) == "old":
        raise LakeError(
            f"{name} still has its old layout: there is nothing to finish.",
            hint=f"invoke lake.repartition {name} goes on with it, --abort ends it.",
        )
    migration = migrations.take_over(connections, migration, phase="finishing")
    checkpoint("finishing")
    for other in (migration.before, migration.staging):
        forget(connections, other)
    checkpoint("forgotten")
    deleted = _delete_below(connections, migration, migration.old_base)
    if _position(connections, migration) == "other":
        deleted += _delete_below(connections, migration, migration.new_base)
    checkpoint("deleted")
    migrations.end(connections, migration)
    return deleted


def abort(
    connections: Connections,
    name: TableName,
    *,
    checkpoint: Checkpoint = lambda _: None,
    say: Say = lambda _: None,
) -> Repartitioned:
    """Go back to the old layout, with every change that was made since the move, and delete the new one.

    Raises: LakeError when nothing is under way, when it is being finished, and when columns changed since the move.
    """
    started = time.monotonic()
    migration = _required(connections, name)
    if migration.phase == "finishing":
        raise LakeError(
            f"The old layout of {name} is being deleted; there is no way back.",
            hint=f"invoke lake.repartition {name} --finish",
        )
    position = _position(connections, migration)
    if position == "other":
        raise _made_anew(migration)
    migration = migrations.take_over(connections, migration, phase="aborting")
    checkpoint("aborting")
    move = _Move(connections, migration, checkpoint, say)
    if position == "new":
        move.settle()
        move.back()
    _clean_new(connections, migration, checkpoint)
    by = tuple(term.text for term in layout_of(read_version(connections, name)) if term)
    return Repartitioned(name, by, None, move.groups, move.cost, time.monotonic() - started)


class _Move:
    """The steps of one run on one migration."""

    def __init__(
        self, connections: Connections, migration: Migration, checkpoint: Checkpoint, say: Say
    ) -> None:
        self.connections, self.migration = connections, migration
        self.checkpoint, self.say = checkpoint, say
        self.cost, self.groups = Cost(), 0
        self._known: dict[tuple[str, int | None], dict[Group, Proof]] = {}

    def forward(self) -> None:
        """Fill the new layout, prove it equal to the current snapshot, and move the name to it."""
        migration = self.migration

        def source() -> Version:
            version = read_version(self.connections, migration.name)
            if version.uuid != migration.old_uuid:
                self._own()  # another run may have taken over, and moved it
                raise _made_anew(migration)
            return version

        def target(now: Version) -> Version | None:
            found = _optional(self.connections, migration.staging)
            if found is None or _columns(found) == _columns(now):
                return found
            self.say("the columns have changed: the new layout is begun anew")
            forget(self.connections, migration.staging)
            _delete_below(self.connections, migration, migration.new_base)
            return None

        def before_move(now: Version, then: Version) -> None:
            self.migration = migrations.save(
                self.connections,
                self.migration,
                old_metadata=now.location,
                new_uuid=then.uuid,
                moved_snapshot=then.snapshot_id,
            )

        terms = parse_layout(",".join(migration.by), source().fields())
        self._converge(source, target, terms, migration.staging, before_move)

    def back(self) -> None:
        """Bring the old layout to the current rows, and move the name back to it."""
        migration = self.migration

        def source() -> Version:
            return read_version(self.connections, migration.name)

        def target(now: Version) -> Version:
            found = read_version(self.connections, migration.before)
            if _columns(found) != _columns(now):
                raise LakeError(
                    f"The columns of {migration.name} have changed since its layout did; the old one does not have them.",
                    hint=f"invoke lake.repartition {migration.name} --finish, then repartition it anew.",
                )
            return found

        terms = tuple(term for term in layout_of(target(source())) if term)
        self._converge(source, target, terms, migration.before, lambda _now, _then: None)

    def settle(self) -> None:
        """After the move: give the old layout its name, take the new one's other name away. Does nothing twice."""
        current = read_version(self.connections, self.migration.name)
        register(self.connections, current, self.migration.before, self.migration.old_metadata)
        self.checkpoint("registered")
        forget(self.connections, self.migration.staging)
        self.checkpoint("settled")

    def _converge(
        self,
        source: Callable[[], Version],
        target: Callable[[Version], Version | None],
        terms: tuple[Term, ...],
        name: TableName,
        before_move: Callable[[Version, Version], None],
    ) -> None:
        for _ in range(ROUNDS):
            now = source()
            then = target(now)
            copier = self._copier(now, terms)
            theirs = self._proofs(copier, now)
            if then is not None and self._proofs(copier, then) == theirs:
                self.checkpoint("validated")
                self._own()
                before_move(now, then)
                if self._moved(now, then):
                    self.groups = len(theirs)
                    return
                self.say("somebody has committed meanwhile: catching up")
                continue
            create = None
            if then is None:
                create = ctas(name, self.migration.new_base, terms, now.properties)
            held = {} if then is None else self._proofs(copier, then)
            copier.copy(now, name, *copier.differing(theirs, held), create)
        raise LakeError(
            f"{self.migration.name} was changed during each of {ROUNDS} rounds of copying; its layout is as it was.",
            hint="Let the builds rest for a while and run this again: what is copied stays copied.",
        )

    def _moved(self, now: Version, then: Version) -> bool:
        metadata = _adopted(then, now)
        try:
            swap(self.connections, now, metadata, written=lambda _: self.checkpoint("written"))
        except LakeConflictError:
            return False
        self.checkpoint("moved")
        return True

    def _proofs(self, copier: Copier, version: Version) -> dict[Group, Proof]:
        key = (version.uuid, version.snapshot_id)
        if key not in self._known:
            self.say(f"counting and checksumming {version.name}")
            self._known[key] = copier.proofs(version)
        return self._known[key]

    def _copier(self, source: Version, terms: tuple[Term, ...]) -> Copier:
        own = tuple(term for term in layout_of(source) if term)
        groups = (*own, *(term for term in terms if term not in own))
        return Copier(self.connections, terms, groups, self._own, self.checkpoint, self.say, self.cost)

    def _own(self) -> None:
        migrations.require_own(self.connections, self.migration)


def _resumed(
    connections: Connections, found: Migration | None, by: str, checkpoint: Checkpoint, say: Say
) -> Migration | None:
    """Return the interrupted migration to go on with; None when there is none. One that was being ended is ended first."""
    if found is None:
        if not by.strip():
            raise LakeError("No partitioning is given.", hint="--by tenant_id,year,month")
        return None
    position = _position(connections, found)
    if position == "other":
        raise _made_anew(found)
    if found.phase == "finishing":
        say("an interrupted --finish is completed first")
        finish(connections, found.name, checkpoint=checkpoint)
        return _resumed(connections, None, by, checkpoint, say)
    if found.phase == "aborting" and position == "old":
        say("an interrupted --abort is completed first")
        _clean_new(connections, migrations.take_over(connections, found), checkpoint)
        return _resumed(connections, None, by or ",".join(found.by), checkpoint, say)
    wanted = (
        tuple(term.text for term in parse_layout(by, read_version(connections, found.name).fields()))
        if by
        else found.by
    )
    if wanted != found.by:
        raise LakeError(
            f"A repartition of {found.name} by {', '.join(found.by)} is not finished.",
            hint=f"invoke lake.repartition {found.name} --finish keeps it, --abort undoes it; then begin the other.",
        )
    return migrations.take_over(connections, found, phase="copying")


def _clean_new(connections: Connections, migration: Migration, checkpoint: Checkpoint) -> None:
    """Delete what there is of the new layout, the names of both, and the state last."""
    for other in (migration.staging, migration.before):
        forget(connections, other)
    checkpoint("forgotten")
    _delete_below(connections, migration, migration.new_base)
    checkpoint("deleted")
    migrations.end(connections, migration)


def _delete_below(connections: Connections, migration: Migration, base: str) -> int:
    """Delete all files below a location that the table's name does not point into; return their bytes."""
    current = _optional(connections, migration.name)
    if current is not None and f"{current.base}/".startswith(f"{base}/"):
        raise LakeError(f"{migration.name} lies at {current.base}: nothing below {base} is deleted.")
    files = list(stored_files(connections, base))
    delete_files(connections, files)
    return sum(item.size for item in files)


def _position(connections: Connections, migration: Migration) -> Position:
    current = _optional(connections, migration.name)
    if current is not None and current.uuid == migration.old_uuid:
        return "old"
    return "new" if current is not None and current.uuid == migration.new_uuid else "other"


def _required(connections: Connections, name: TableName) -> Migration:
    found = migrations.find(connections, name)
    if found is None:
        raise LakeError(
            f"No repartition of {name} is under way.",
            hint=f"invoke lake.repartition {name} --by tenant_id,year,month",
        )
    return found


def _optional(connections: Connections, name: TableName) -> Version | None:
    try:
        return read_version(connections, name)
    except LakeError as error:
        if error.code == "TABLE_NOT_FOUND":
            return None
        raise


def _columns(version: Version) -> list[tuple[str, str]]:
    return [(field["name"], _type(field["type"])) for field in version.fields()]


def _type(kind: Any) -> str:
    """Return a type without its field ids, which two tables number differently."""
    if isinstance(kind, str):
        return kind
    if kind["type"] == "list":
        return f"list<{_type(kind['element'])}>"
    if kind["type"] == "map":
        return f"map<{_type(kind['key'])},{_type(kind['value'])}>"
    return "struct<" + ",".join(f"{item['name']}:{_type(item['type'])}" for item in kind["fields"]) + ">"


def _adopted(target: Version, source: Version) -> dict[str, Any]:
    """Return the target's metadata as what the source's name is to point to: its properties and descriptions taken over."""
    kept = {key: value for key, value in source.properties.items() if not key.startswith(_PLACES)}
    docs = {field["name"]: field["doc"] for field in source.fields() if field.get("doc")}
    current = target.metadata.get("current-schema-id", 0)
    schemas = [
        schema
        if schema["schema-id"] != current
        else schema
        | {
            "fields": [
                field | ({"doc": docs[field["name"]]} if field["name"] in docs else {})
                for field in schema["fields"]
            ]
        }
        for schema in target.metadata["schemas"]
    ]
    return logged(target, target.metadata) | {
        "properties": {**target.properties, **kept},
        "schemas": schemas,
    }


def _made_anew(migration: Migration) -> LakeError:
    return LakeError(
        f"{migration.name} was made anew (or dropped) since its repartition by {', '.join(migration.by)} began.",
        hint=f"invoke lake.repartition {migration.name} --finish deletes what is left of both layouts.",
    )
