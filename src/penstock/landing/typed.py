"""Check a file for a Parquet table whole, and write what is to land, before a byte is sent. What lands is always Parquet.

Parquet and JSON lines are taken. What lands is written anew while the file is checked, into a temporary file without a
name: the declared columns in their order and with their types, in row groups of one size, so that the same rows are the
same bytes. Memory is a row group, whatever the file's size.

Columns that the declaration does not know are taken for new ones and land beside it (`seed` extends the table); a column
that is gone is NULL where that is allowed. What is refused: a lost or retyped column, one whose type no table holds, and
whatever a value breaks of the declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.errors import LandingError
from penstock.landing.checked import Checked, Days
from penstock.landing.columns import ColumnCheck, Teller, can_become, declared_type, keys_of, schema_of
from penstock.landing.duplicates import ROWS_IN_MEMORY, KeyHashes, Repeats, hashed
from penstock.landing.faults import SHOWN, Fault, Faults
from penstock.landing.lines import UnknownFieldError
from penstock.landing.reading import BLOCK_BYTES, blocks, is_parquet, landed_name
from penstock.landing.rows import Rows, json_rows, parquet_file, parquet_rows
from penstock.landing.spool import Spool
from penstock.sources.declaration import NAME, Column, Table

if TYPE_CHECKING:
    import pyarrow as pa

# Rows of a row group: what a reader holds at least. 10,000 rows with an embedding of 1,024 doubles are 80 MB; rows
# without arrays are some hundred bytes at most.
GROUP_ROWS_WITH_ARRAYS = 10_000
GROUP_ROWS = 100_000
# Level 1 is as fast as snappy on embeddings, and a fifth smaller.
COMPRESSION, COMPRESSION_LEVEL = "zstd", 1


def check_typed(
    path: Path,
    table: Table,
    *,
    on_bytes: Callable[[int], None] | None = None,
    block_bytes: int = BLOCK_BYTES,
    rows_in_memory: int = ROWS_IN_MEMORY,
) -> Checked:
    """Return what a file holds, what is wrong with it, and in its spool what is to land.

    Raises: LandingError for a file that cannot be read. Faults in its content are returned.
    """
    faults = Faults()
    added, notices = _fitted(path, table, faults)
    if faults.count:
        return _refused(path, table, faults)
    try:
        return _Check(path, _with(table, added), notices, on_bytes, block_bytes, rows_in_memory).run(added)
    except UnknownFieldError:
        added = _new_fields(path, table, faults, block_bytes)
    if faults.count:
        return _refused(path, table, faults)
    try:
        return _Check(path, _with(table, added), notices, on_bytes, block_bytes, rows_in_memory).run(added)
    except UnknownFieldError as error:  # in lines that Arrow did not read, so that their type is not known
        faults.add(Fault(path.name, 0, ", ".join(error.names), "", "is not declared, and of no clear type"))
    return _refused(path, table, faults)


class _Check:
    def __init__(
        self,
        path: Path,
        table: Table,
        notices: tuple[str, ...],
        on_bytes: Callable[[int], None] | None,
        block_bytes: int,
        rows_in_memory: int,
    ) -> None:
        self.path, self.table, self.notices = path, table, notices
        self.on_bytes, self.block_bytes, self.rows_in_memory = on_bytes, block_bytes, rows_in_memory
        self.faults = Faults()
        self.told = Teller(path.name, "row" if is_parquet(path) else "line", self.faults)
        self.columns = ColumnCheck(table)

    def run(self, added: tuple[Column, ...]) -> Checked:
        spool, rows, days = Spool(), 0, Days(self.table)
        writer = _Writer(spool, self.table)
        try:
            with KeyHashes(self.rows_in_memory) as keys:
                for found in self._rows(self.faults, self.on_bytes):
                    good = self._good(found, self.told)
                    rows += good.batch.num_rows
                    found_keys = keys_of(self.table, good.batch)
                    keys.add(hashed(found_keys))
                    days.add(found_keys)
                    if not self.faults.count:
                        writer.write(good.batch)
                if not rows and not self.faults.count:
                    self.faults.add(Fault(self.path.name, 0, "", "", "has no rows"))
                self._add_repeats(keys)
            writer.close(finish=not self.faults.count)
        except BaseException:
            with suppress(LandingError):
                writer.close(finish=False)
            spool.drop()
            raise
        return Checked(
            path=self.path,
            name=landed_name(self.path, self.table),
            rows=rows,
            size=spool.size,
            sha256=spool.sha256,
            notices=self.notices,
            faults=self.faults,
            table=self.table,
            found=added,
            spool=spool,
            days=days.range,
        )

    def _rows(self, faults: Faults, on_bytes: Callable[[int], None] | None = None) -> Iterator[Rows]:
        if is_parquet(self.path):
            return parquet_rows(self.path, self.table, faults, on_bytes=on_bytes)
        return json_rows(self.path, self.table, faults, on_bytes=on_bytes, block_bytes=self.block_bytes)

    def _keys_again(self, faults: Faults) -> Iterator[Rows]:
        """Yield the rows once more; of Parquet that has no faults, their key alone."""
        if is_parquet(self.path) and not self.faults.count:
            key = tuple(self.table.by_name[name] for name in self.table.key)
            return parquet_rows(self.path, self.table, faults, columns=key)
        return self._rows(faults)

    def _good(self, found: Rows, told: Teller) -> Rows:
        """Return the rows without a fault."""
        if found.bad is not None:  # what could not be converted is NULL now, which is no second fault
            found = Rows(found.batch.filter(~found.bad), found.places[~found.bad])
        bad = self.columns.bad_rows(found.batch, found.places, told)
        return Rows(found.batch.filter(~bad), found.places[~bad]) if bad.any() else found

    def _add_repeats(self, keys: KeyHashes) -> None:
        suspects, surplus = keys.repeated()
        if not surplus:
            return
        ignored, repeats = Faults(), Repeats(suspects)
        quiet = Teller(self.path.name, "", ignored)
        before = self.faults.count
        for rows in self._keys_again(ignored):
            good = self._good(rows, quiet) if before else rows
            again, firsts = repeats.find(keys_of(self.table, good.batch), good.places)
            first_of = dict(zip(again.tolist(), firsts.tolist(), strict=True))
            for index in again[:SHOWN].tolist():
                values = [good.batch.column(name)[index].as_py() for name in self.table.key]
                self.faults.add(
                    Fault(
                        self.path.name,
                        int(good.places[index]),
                        ", ".join(self.table.key),
                        ", ".join(str(value) for value in values),
                        f"is already in {self.told.unit} {first_of[index]}",
                        self.told.unit,
                    )
                )
            self.faults.count += max(0, len(again) - SHOWN)
        if repeats.full:
            self.faults.count = before + surplus


class _Writer:
    """Writes good rows in row groups of one size."""

    def __init__(self, spool: Spool, table: Table) -> None:
        import pyarrow.parquet as pq

        self._schema = schema_of(table)
        arrays = any(column.kind == "array" for column in table.columns)
        self._group_rows = GROUP_ROWS_WITH_ARRAYS if arrays else GROUP_ROWS
        self._held: list[pa.RecordBatch] = []
        self._rows = 0
        self._writer = pq.ParquetWriter(
            spool,
            self._schema,
            compression=COMPRESSION,
            compression_level=COMPRESSION_LEVEL,
            use_dictionary=[column.name for column in table.columns if column.kind == "string"],
            store_schema=False,
        )

    def write(self, batch: pa.RecordBatch) -> None:
        self._held.append(batch)
        self._rows += batch.num_rows
        while self._rows >= self._group_rows:
            self._flush(self._group_rows)

    def _flush(self, count: int) -> None:
        import pyarrow as pa

        held = pa.Table.from_batches(self._held, self._schema)
        self._writer.write_table(held.slice(0, count), row_group_size=count)
        self._held = held.slice(count).to_batches()
        self._rows -= count

    def close(self, *, finish: bool) -> None:
        if finish and self._rows:
            self._flush(self._rows)
        self._held = []
        self._writer.close()


def _refused(path: Path, table: Table, faults: Faults) -> Checked:
    return Checked(path, landed_name(path, table), 0, 0, "", (), faults, table)


def _with(table: Table, added: tuple[Column, ...]) -> Table:
    return replace(table, columns=(*table.columns, *added)) if added else table


def _fitted(path: Path, table: Table, faults: Faults) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """Return the columns that a Parquet file has beside the declared ones, and what is to be told of the others.

    A column that is lost or retyped is a fault. Of JSON lines nothing can be said before they are read.
    """
    import pyarrow.types as kinds

    if not is_parquet(path):
        return (), ()
    with parquet_file(path) as file:
        found = dict(zip(file.schema_arrow.names, file.schema_arrow.types, strict=True))
        twice = len(file.schema_arrow.names) > len(found)
    if twice:
        faults.add(Fault(path.name, 0, "", "", "has two columns of one name"))
    unknown = [name for name in found if name not in table.by_name]
    notices = []
    for column in table.columns:
        if column.name not in found:
            if column.nullable and not get_close_matches(column.name, unknown, 1, 0.8):
                notices.append(f"column {column.name} is not in the file and became NULL")
                continue
            faults.add(_lost(path, column, unknown))
        elif not can_become(found[column.name], column):
            problem = f"is {found[column.name]} in the file and {column.type} in the declaration"
            faults.add(Fault(path.name, 0, column.name, "", problem))
        elif kinds.is_timestamp(found[column.name]) and found[column.name].tz is not None:
            notices.append(f"times of {column.name} became UTC's ({found[column.name].tz} in the file)")
    added = [
        _new_column(path, name, declared_type(found[name]), str(found[name]), faults) for name in unknown
    ]
    return tuple(column for column in added if column is not None), tuple(notices)


def _lost(path: Path, column: Column, unknown: list[str]) -> Fault:
    near = get_close_matches(column.name, unknown, 1)
    meant = f" (it has {near[0]}, which is not declared)" if near else ""
    return Fault(path.name, 0, column.name, "", f"is not in the file{meant}")


def _new_column(path: Path, name: str, declared: str, found: str, faults: Faults) -> Column | None:
    """Return the declaration of a column that is in the file alone; None, and a fault, where there can be none."""
    if not NAME.fullmatch(name):
        problem = "is not declared, and cannot be: a name is up to 63 small letters, digits and _"
        faults.add(Fault(path.name, 0, name, "", problem))
        return None
    if not declared:
        faults.add(Fault(path.name, 0, name, "", f"is not declared, and {found} cannot be"))
        return None
    return Column(name, declared, nullable=True)


def _new_fields(path: Path, table: Table, faults: Faults, block_bytes: int) -> tuple[Column, ...]:
    """Return what fields JSON lines have beside the declared columns, with the type that holds all their values."""
    found = infer_json(path, block_bytes)
    missing = [column.name for column in table.columns if column.name not in found]
    unknown = {name: kind for name, kind in found.items() if name not in table.by_name}
    for column in table.columns:
        if column.name in missing and (
            not column.nullable or get_close_matches(column.name, list(unknown), 1, 0.8)
        ):
            faults.add(_lost(path, column, list(unknown)))
    added = [
        _new_column(
            path, name, "" if kind is None else declared_type(kind), str(kind or "of no type"), faults
        )
        for name, kind in unknown.items()
    ]
    return tuple(column for column in added if column is not None)


def infer_json(path: Path, block_bytes: int = BLOCK_BYTES, *, at_most: int = 0) -> dict[str, Any]:
    """Return the fields of JSON lines with an Arrow type that holds all values; None where no one type does.

    Blocks that Arrow does not take for JSON are left out. `at_most`: blocks to look at; 0 takes all.
    """
    import pyarrow as pa
    import pyarrow.json as pa_json

    found: dict[str, Any] = {}
    for number, block in enumerate(blocks(path, block_bytes=block_bytes)):
        if at_most and number >= at_most:
            break
        options = pa_json.ReadOptions(use_threads=False, block_size=len(block.data) + 1)
        try:
            schema = pa_json.read_json(pa.BufferReader(block.data), options).schema
        except pa.ArrowInvalid:
            continue
        for name, kind in zip(schema.names, schema.types, strict=True):
            found[name] = _common(found[name], kind) if name in found else kind
    return found


def _common(one: Any, other: Any) -> Any:
    """Return the type that holds values of both, None where there is none."""
    import pyarrow as pa
    import pyarrow.types as kinds

    if one is None or other is None:
        return None
    if one == other or kinds.is_null(other):
        return one
    if kinds.is_null(one):
        return other
    pair = {str(one), str(other)}
    if pair == {"int64", "double"}:
        return pa.float64()
    if "string" in pair and any(kind.startswith(("timestamp", "date")) for kind in pair):
        return pa.string()
    if kinds.is_list(one) and kinds.is_list(other):
        element = _common(one.value_type, other.value_type)
        return None if element is None else pa.list_(element)
    return None
