"""Writes what a new source needs, from a sample: its declaration, and dbt's source, staging model and their yml.

Nothing that exists is overwritten unless that is asked for, and the sample is checked against the new declaration before
anything is written: what is written lands and builds as it is.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from penstock.errors import LandingError
from penstock.landing.faults import refusal
from penstock.landing.sample import Sample
from penstock.sources.declaration import Column, Source, Table
from penstock.sources.reading import read

# What Athena's SELECT reserves: as a column's name it is quoted.
_RESERVED_WORDS = """
    alter and as between by case cast constraint create cross cube current_catalog current_date current_path
    current_schema current_time current_timestamp current_user deallocate delete describe distinct drop else end escape
    except exists extract false first for from full group grouping having in inner insert intersect into is join last
    left like listagg localtime localtimestamp natural normalize not null of on or order outer prepare recursive right
    rollup select skip table then trim true uescape union unnest using values when where with
"""
_RESERVED = frozenset(_RESERVED_WORDS.split())


@dataclass(frozen=True)
class Scaffold:
    """Texts by their path below the project's root, and the source that they declare."""

    files: dict[Path, str]
    source: Source

    def existing(self, root: Path) -> list[Path]:
        """Return those of the files that are there already."""
        return [path for path in self.files if (root / path).exists()]

    def write(self, root: Path) -> None:
        for path, text in self.files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")


def scaffold(path: Path, found: Sample) -> Scaffold:
    """Return the files of a new source; raises BadInputError where the sample breaks the declaration made of it."""
    from penstock.landing.check import check

    table = found.table
    declaration = _declaration(path, found)
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        written = Path(folder) / f"{table.source}.yml"
        written.write_text(declaration, encoding="utf-8")
        declared = read(written)
    checked = check(path, declared.table)
    if checked.spool:
        checked.spool.drop()
    if checked.faults.count:
        raise refusal([checked.faults])
    staging = Path("models/staging") / table.source
    return Scaffold(
        {
            Path("sources") / f"{table.source}.yml": declaration,
            staging / f"_{table.source}__sources.yml": _dbt_source(table),
            staging / f"_{table.source}__models.yml": _dbt_models(table),
            staging / f"{staging_model(table)}.sql": _staging(table),
        },
        declared,
    )


def staging_model(table: Table) -> str:
    """Return the name of a landed table's staging model."""
    return f"stg_{table.source}__{table.name}"


def _declaration(path: Path, found: Sample) -> str:
    table = found.table
    key = f"    key: [{', '.join(table.key)}]"
    key += "  # a guess: the first column that names each row of the sample" if found.guessed else ""
    lines = [
        f"# Made from {found.rows:,} rows of {path.name}: look over types, what may be empty, bounds and the key.",
        f"database: {table.source}",
        "",
        "tables:",
        f"  - name: {table.name}",
        f"    format: {table.format}",
        *([f"    delimiter: {json.dumps(table.delimiter)}"] if table.delimiter != "," else []),
        key,
        "    columns:",
    ]
    for column, seen in zip(table.columns, found.seen, strict=True):
        told = f"  # in the sample: {', '.join(seen.few)}" if seen.few else ""
        lines.append(f"      - {{{_column(column)}}}{told if len(told) <= 80 else ''}")
    return "\n".join(lines) + "\n"


def _column(column: Column) -> str:
    parts = [f"name: {column.name}", f"type: {_type(column)}"]
    if column.nullable:
        parts.append("nullable: true")
    if column.minimum is not None:
        parts.append(f"minimum: {column.minimum:g}")
    if column.length:
        parts.append(f"length: {column.length}")
    return ", ".join(parts)


def _type(column: Column) -> str:
    return f'"{column.type}"' if "," in column.type else column.type


def _dbt_source(table: Table) -> str:
    columns = "\n".join(
        f"          - {{name: {column.name}, data_type: {_type(column)}}}" for column in table.columns
    )
    return f"""\
version: 2

sources:
  - name: {table.source}
    description: Files landed by `invoke seed --source {table.source}`.
    database: awsdatacatalog
    schema: "{{{{ env_var('PENSTOCK_{table.source.upper()}_DATABASE', '{table.source}_local') }}}}"
    config:
      # As for a daily drop: 36 hours is one drop missed and a night's slack, 72 a weekend that went by unseen.
      freshness:
        warn_after: {{count: 36, period: hour}}
        error_after: {{count: 72, period: hour}}
      # Athena has no metadata freshness. When a file landed is what S3 says; no column of the data tells it.
      loaded_at_query: select max(cast("$file_modified_time" as timestamp)) from {{{{ this }}}}
    tables:
      - name: {table.name}
        description: One row per row of a landed file; files may overlap on the key.
        columns:
{columns}
"""


def _dbt_models(table: Table) -> str:
    columns = "\n".join(f"      - {{name: {column.name}}}" for column in table.columns)
    key = ", ".join(table.key)
    return f"""\
version: 2

models:
  - name: {staging_model(table)}
    description: |
      One row per {", ".join(table.key)}: the row as landed, overlapping files resolved.

      {{{{ doc('landed_last_wins') }}}}
    columns:
{columns}
      - {{name: file_landed_at, description: "{{{{ doc('file_landed_at') }}}}"}}
      - {{name: file_path, description: "{{{{ doc('file_path') }}}}"}}
    data_tests:
      - never_null:
          arguments:
            columns: [{key}]
      - unique_combination:
          arguments:
            columns: [{key}]
"""


def _staging(table: Table) -> str:
    names = [_quoted(column.name) for column in table.columns]
    key = [_quoted(name) for name in table.key]
    others = [name for name in names if name not in key]
    typed = "".join(f"        {_staged(table, column)},\n" for column in table.columns)
    notes = "        -- An empty field of text reaches Athena as ''.\n" if _has_empty_text(table) else ""
    return f"""\
-- One row per {", ".join(table.key)}: the row of the file landed last.
-- Read without an import CTE: `select *` leaves out "$path" and "$file_modified_time".
with typed as (
    select
{notes}{typed}        -- Cast here: Athena refuses a view with a column of type timestamp with time zone.
        cast("$file_modified_time" as timestamp) as file_landed_at,
        "$path" as file_path
    from {{{{ source('{table.source}', '{table.name}') }}}}
),

ranked as (
    select
        *,
        -- rank, not row_number: it chooses between files, never within one.
        rank() over (
            partition by {", ".join(key)}
            order by file_landed_at desc, file_path desc
        ) as recency
    from typed
),

final as (
    select
        -- keys
{_listed(key)}        -- facts
{_listed(others)}        -- timestamps
        file_landed_at,
        file_path
    from ranked
    -- Drops what an older file said of a key that a newer file repeats.
    where recency = 1
)

select * from final
"""


def _listed(names: list[str]) -> str:
    return "".join(f"        {name},\n" for name in names)


def _has_empty_text(table: Table) -> bool:
    return table.format == "csv" and any(c.nullable and c.type == "string" for c in table.columns)


def _staged(table: Table, column: Column) -> str:
    name = _quoted(column.name)
    if table.format == "csv" and column.nullable and column.type == "string":
        return f"nullif({name}, '') as {name}"
    return name


def _quoted(name: str) -> str:
    return f'"{name}"' if name in _RESERVED else name


def refuse_existing(files: list[Path]) -> LandingError:
    """Return the error that says which files are in the way."""
    told = ", ".join(str(path) for path in files)
    return LandingError(f"There is already {told}; nothing was written.", hint="--force replaces them.")
