"""Upkeep of Iceberg tables by Athena's own OPTIMIZE and VACUUM: what is due by a table's policy, and why what is not.

A policy is a model's `meta.upkeep`, or the environment's settings where a model says nothing:

    config:
      meta:
        upkeep:                  # false: never touched by `invoke lake.upkeep`
          small_files: 5         # compact when a partition has so many files below three quarters of the target size
          delete_files: 2        # or a data file so many delete files
          keep_days: 5           # forget snapshots older than that ...
          keep_snapshots: 3      # ... but keep so many at least

The policy is written into the table's properties, so that Athena does exactly what it says, whoever starts it. Compaction
changes no row, and so costs no write in Postgres. Refuses to forget the snapshot that Postgres holds: the next sync would
have to compare every partition instead of the changed files.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from penstock.connections import Connections
from penstock.errors import LakeError
from penstock.lake.athena import Athena
from penstock.lake.files import live_files
from penstock.lake.history import Held, held_in_postgres
from penstock.lake.tables import TableName, Version, read_version

if TYPE_CHECKING:
    from penstock.settings import Settings
    from penstock.sync.manifests import LakeFile

# Athena's defaults of what it compacts: a file below this share of the target size is small.
SMALL_SHARE = 0.75
TARGET_BYTES = 512 * 1024**2
_TARGET_PROPERTY = "write.target-file-size-bytes"
_SMALL_PROPERTY = "optimize_rewrite_min_data_file_size_bytes"
MAX_METADATA_FILES = 100
_METADATA_PROPERTY = "vacuum_max_metadata_files_to_keep"
# Athena ends either statement when it has done a share of a large table, with one of these, and wants it started again.
_MORE_RUNS = frozenset({"ICEBERG_OPTIMIZE_MORE_RUNS_NEEDED", "ICEBERG_VACUUM_MORE_RUNS_NEEDED"})
RUNS = 50


@dataclass(frozen=True)
class Policy:
    """When to compact, and how long snapshots are kept. `days` may be a fraction; 0 snapshots is not allowed."""

    small_files: int = 5
    delete_files: int = 2
    keep_days: float = 5.0
    keep_snapshots: int = 3

    @property
    def properties(self) -> dict[str, str]:
        """As Athena's table properties say it."""
        return {
            "optimize_rewrite_data_file_threshold": str(self.small_files),
            "optimize_rewrite_delete_file_threshold": str(self.delete_files),
            "vacuum_max_snapshot_age_seconds": str(round(self.keep_days * 86_400)),
            "vacuum_min_snapshots_to_keep": str(self.keep_snapshots),
        }


@dataclass(frozen=True)
class Size:
    """A table's live files. `bytes` of them all."""

    files: int
    delete_files: int
    bytes: int


@dataclass(frozen=True)
class Step:
    """What became of one kind of work on one table. `why` is why it was due, or why it was not done."""

    table: str
    work: str
    done: bool
    why: str
    before: Size | None = None
    after: Size | None = None
    snapshots: tuple[int, int] | None = None
    bytes_scanned: int = 0


def of_settings(settings: Settings) -> Policy:
    """Return the policy for models that declare none."""
    return Policy(
        settings.upkeep_small_files,
        settings.upkeep_delete_files,
        settings.upkeep_keep_days,
        settings.upkeep_keep_snapshots,
    )


def policy_of(model: str, meta: Mapping[str, Any], default: Policy) -> Policy | None:
    """Return a model's policy; None where it wants no upkeep.

    Raises: LakeError naming model and key for a key that is not known or a value that is no number in its range.
    """
    declared = meta.get("upkeep", {})
    if declared is False:
        return None
    where = f"meta.upkeep of model {model}"
    if not isinstance(declared, Mapping):
        raise LakeError(f"{where} is {declared!r}.", hint="false, or keys: " + ", ".join(_LEAST))
    for key, value in declared.items():
        if key not in _LEAST:
            raise LakeError(f"{where} has '{key}', which is not known.", hint=f"Known: {', '.join(_LEAST)}.")
        whole = isinstance(value, int) or key == "keep_days"
        if isinstance(value, bool) or not isinstance(value, int | float) or not whole or value < _LEAST[key]:
            raise LakeError(
                f"{where}: {key} is {value!r}.",
                hint=f"A {'number' if key == 'keep_days' else 'whole number'} of {_LEAST[key]} or more.",
            )
    given = {item.name: getattr(default, item.name) for item in fields(Policy)} | dict(declared)
    return Policy(**given)


_LEAST = {"small_files": 2, "delete_files": 1, "keep_days": 0, "keep_snapshots": 1}


# what is due


def compaction_due(files: list[LakeFile], properties: Mapping[str, str], policy: Policy) -> str:
    """Return why the table should be compacted by this policy, in words; "" when it need not be."""
    target = _number(properties, _TARGET_PROPERTY, TARGET_BYTES)
    least = _number(properties, _SMALL_PROPERTY, int(target * SMALL_SHARE))
    data = [file for file in files if not file.deletes]
    small = Counter((file.spec_id, file.partition) for file in data if file.size < least)
    crowded = [count for count in small.values() if count >= max(policy.small_files, 2)]
    if crowded:
        return (
            f"{len(crowded)} of {_partitions(data)} partitions have {policy.small_files} small files or more"
        )
    deletes: dict[Any, list[int]] = defaultdict(list)
    for file in files:
        if file.deletes:
            deletes[file.spec_id, file.partition].append(file.sequence)
    burdened = sum(
        1
        for file in data
        if sum(number >= file.sequence for number in deletes[file.spec_id, file.partition])
        >= policy.delete_files
    )
    if burdened:
        return f"{burdened} of {len(data)} data files have {policy.delete_files} delete files or more"
    return ""


def expiring(version: Version, policy: Policy, *, now: float | None = None) -> set[int]:
    """Return the snapshots that VACUUM would forget by this policy: too old, not referenced, not among the newest."""
    moment = time.time() if now is None else now
    limit = (moment - policy.keep_days * 86_400) * 1000
    referenced = {int(ref["snapshot-id"]) for ref in (version.metadata.get("refs") or {}).values()}
    newest = {int(item["snapshot-id"]) for item in version.snapshots[-policy.keep_snapshots :]}
    kept = referenced | newest | {version.snapshot_id}
    return {
        int(item["snapshot-id"])
        for item in version.snapshots
        if int(item["timestamp-ms"]) <= limit and int(item["snapshot-id"]) not in kept
    }


def expiry_due(version: Version, policy: Policy, *, now: float | None = None) -> str:
    """Return why the table should be vacuumed by this policy, in words; "" when it need not be."""
    old = expiring(version, policy, now=now)
    if old:
        return f"{len(old)} of {len(version.snapshots)} snapshots are older than {policy.keep_days:g} days"
    most = _number(version.properties, _METADATA_PROPERTY, MAX_METADATA_FILES)
    log = len(version.metadata.get("metadata-log") or ())
    return f"{log} metadata files are kept, {most} is the most" if log > most else ""


def still_needed(version: Version, held: list[Held], doomed: set[int]) -> list[str]:
    """Return the Postgres tables that hold a snapshot which is to be forgotten, and so have not been synced since."""
    return [
        one.target
        for one in held
        if one.table_uuid == version.uuid and one.snapshot_id in doomed and one.snapshot_id is not None
    ]


# doing it


def optimize(connections: Connections, name: TableName, *, where: str = "", why: str = "") -> Step:
    """Compact a table's files by Athena's OPTIMIZE; `where` names partitions. No row changes.

    Raises: LakeError as Athena says it.
    """
    before = _size(connections, read_version(connections, name))
    condition = f" WHERE {where}" if where else ""
    scanned = _repeated(connections, f"OPTIMIZE {name.sql} REWRITE DATA USING BIN_PACK{condition}")
    after = _size(connections, read_version(connections, name))
    done = before != after
    told = why or ("it was asked for" if done else "no file is worth rewriting by the table's properties")
    return Step(str(name), "optimize", done, told, before, after, bytes_scanned=scanned)


def vacuum(connections: Connections, name: TableName, *, policy: Policy | None = None, why: str = "") -> Step:
    """Forget old snapshots and delete the files only they had, by Athena's VACUUM; `policy` is set on the table first.

    Raises: LakeError as Athena says it.
    """
    version = apply_policy(connections, name, policy) if policy else read_version(connections, name)
    before = len(version.snapshots)
    scanned = _repeated(connections, f"VACUUM {name.sql}")
    after = len(read_version(connections, name).snapshots)
    return Step(
        str(name),
        "vacuum",
        before != after,
        why or "it was asked for",
        snapshots=(before, after),
        bytes_scanned=scanned,
    )


def upkeep(connections: Connections, name: TableName, policy: Policy, *, dry_run: bool = False) -> list[Step]:
    """Do what is due on one table by its policy; return both steps, done or not, with the reason.

    Raises: LakeError for a table that is not there or not Iceberg, and as Athena says it.
    """
    version = read_version(connections, name)
    steps = []
    due = compaction_due(live_files(connections, version), version.properties, policy)
    if due and not dry_run:
        apply_policy(connections, name, policy)
        steps.append(optimize(connections, name, why=due))
    else:
        steps.append(Step(str(name), "optimize", False, due or "few small files, few delete files"))
    version = read_version(connections, name)
    due = expiry_due(version, policy)
    if not due:
        steps.append(Step(str(name), "vacuum", False, "no snapshot is old enough"))
        return steps
    held = held_in_postgres(connections, str(name))
    waiting = still_needed(version, held or [], expiring(version, policy))
    if held is None and connections.has_postgres:
        steps.append(Step(str(name), "vacuum", False, f"{due}, but Postgres does not say what it holds"))
    elif waiting:
        text = f"{due}, but {', '.join(waiting)} in Postgres still holds one of them: run `invoke sync` first"
        steps.append(Step(str(name), "vacuum", False, text))
    elif dry_run:
        steps.append(Step(str(name), "vacuum", False, due))
    else:
        steps.append(vacuum(connections, name, policy=policy, why=due))
    return steps


def policy_on(version: Version) -> Policy:
    """Return the policy that the table's own properties are, Athena's defaults where they say nothing."""
    own = version.properties
    return Policy(
        small_files=_number(own, "optimize_rewrite_data_file_threshold", 5),
        delete_files=_number(own, "optimize_rewrite_delete_file_threshold", 2),
        keep_days=_number(own, "vacuum_max_snapshot_age_seconds", 432_000) / 86_400,
        keep_snapshots=max(1, _number(own, "vacuum_min_snapshots_to_keep", 1)),
    )


def apply_policy(connections: Connections, name: TableName, policy: Policy) -> Version:
    """Set the table's properties to what the policy says, if they are not; return the table as it then is."""
    version = read_version(connections, name)
    changed = {key: value for key, value in policy.properties.items() if version.properties.get(key) != value}
    if not changed:
        return version
    given = ", ".join(f"'{key}' = '{value}'" for key, value in sorted(changed.items()))
    Athena(connections).run(
        f"ALTER TABLE {_unqualified(name)} SET TBLPROPERTIES ({given})", database=name.database
    )
    return read_version(connections, name)


def _unqualified(name: TableName) -> str:
    return f"`{name.table}`"


def _repeated(connections: Connections, statement: str) -> int:
    """Run a statement until Athena wants no further run; return the bytes scanned.

    Raises: LakeError when it fails, or wants more than RUNS of them.
    """
    athena, scanned = Athena(connections), 0
    for _ in range(RUNS):
        try:
            return scanned + athena.run(statement).bytes_scanned
        except LakeError as error:
            if error.code not in _MORE_RUNS:
                raise
    raise LakeError(f"{statement} was run {RUNS} times and Athena wants more.", hint="Run it again.")


def _size(connections: Connections, version: Version) -> Size:
    files = live_files(connections, version)
    deletes = sum(file.deletes for file in files)
    return Size(len(files) - deletes, deletes, sum(file.size for file in files))


def _partitions(files: list[LakeFile]) -> int:
    return len({(file.spec_id, file.partition) for file in files})


def _number(properties: Mapping[str, str], key: str, default: int) -> int:
    """Return a numeric property; another engine may have put anything there."""
    try:
        return int(properties.get(key, default))
    except ValueError:
        return default
