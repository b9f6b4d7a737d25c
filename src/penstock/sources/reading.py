"""Reads `sources/<name>.yml` into a Source; what cannot be is refused by file, line and key.

    database: pricing_intelligence      # the environment's name follows: pricing_intelligence_local
    folder: pricing_intelligence        # of the lake bucket; the database's by default
    description: …
    tables:
      - name: sales
        format: parquet                 # or csv
        location: sales                 # below the folder; the folder itself when left out
        description: …
        key: [tenant_id, product_id, sold_date]
        columns:
          - {name: season, type: string, one_of: [Q1, Q2, Q3, Q4]}
          - {name: sold_price, type: "decimal(10,2)", above: 0}
          - {name: embedding, type: array<double>, length: 1024}
        checks:
          - {rises: [y_05, y_50, y_95]}
          - {column: season, is: quarter of sold_date}
        partitions: [{name: year, type: string}]    # Hive keys, where files lie in year=…/ folders

The keys of a column are the fields of `declaration.Column`. Nothing is guessed: an unknown key, one given twice and a value
of another kind are refused.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from penstock.errors import DeclarationError
from penstock.sources.declaration import Column, Derived, Part, Source, Table, UnsoundError

if TYPE_CHECKING:
    from yaml.nodes import MappingNode, Node

_DATABASE = re.compile(r"[a-z][a-z0-9_]{0,40}")
_FOLDER = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
_MARTS = "marts"  # where dbt puts the marts' files in the same bucket
_COLUMN_KEYS = (
    *("name", "type", "nullable", "pattern", "means", "one_of"),
    *("minimum", "maximum", "above", "length", "description"),
)
_TABLE_KEYS = (
    *("name", "format", "location", "delimiter", "description"),
    *("key", "columns", "checks", "partitions"),
)
_HINT = "docs/how-to/add-a-source.md shows a declaration; src/penstock/sources/reading.py lists every key."


def read(path: Path) -> Source:
    """Return the source that a file declares; its name is the file's.

    Raises: DeclarationError naming file, line and key.
    """
    import yaml

    name = path.stem
    file = f"sources/{path.name}"
    if not _DATABASE.fullmatch(name):
        raise DeclarationError(
            f"{file}: '{name}' cannot be a source's name.",
            hint="Small letters, digits and _, a letter first, at most 41: sources/returns.yml.",
        )
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise DeclarationError(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError:
        raise DeclarationError(f"{file} is not UTF-8.", hint="Save it as UTF-8.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise DeclarationError(f"{file}{where} is no yml: {problem}.", hint=_HINT) from error
    if node is None:
        raise DeclarationError(f"{file} is empty.", hint=_HINT)
    top = _Entry(file, node, ("database", "folder", "description", "tables"))
    database = top.matching("database", _DATABASE, "small letters, digits and _, a letter first, at most 41")
    folder = top.matching("folder", _FOLDER, "names of letters, digits, - and _ with / between", database)
    if folder.split("/")[0] == _MARTS:
        raise top.fault("folder", f"'{_MARTS}/' is where the marts' own files lie")
    tables = [_table(entry, name, folder) for entry in top.entries("tables", _TABLE_KEYS)]
    if not tables:
        raise top.fault("tables", "a source has one table or more")
    for index, table in enumerate(tables):
        for other in tables[:index]:
            if table.name == other.name or overlap(table.prefix, other.prefix):
                shared = "name" if table.name == other.name else "location"
                raise top.fault("tables", f"tables {other.name} and {table.name} share a {shared}")
    return Source(name, database, tuple(tables), top.text("description", ""))


def overlap(one: str, other: str) -> bool:
    """Return whether objects below one prefix are read by a table over the other: Athena reads all that lies below."""
    return one.startswith(other) or other.startswith(one)


def _table(entry: _Entry, source: str, folder: str) -> Table:
    location = entry.matching("location", _FOLDER, "names of letters, digits, - and _ with / between", "")
    prefix = f"{folder}/{location}/" if location else f"{folder}/"
    columns = tuple(_column(column) for column in entry.entries("columns", _COLUMN_KEYS))
    partitions = tuple(
        _column(column) for column in entry.entries("partitions", _COLUMN_KEYS, required=False)
    )
    ordered, derived = _checks(entry)
    with entry.faults():
        return Table(
            source=source,
            name=entry.text("name"),
            columns=columns,
            key=entry.texts("key"),
            ordered=ordered,
            derived=derived,
            format=entry.text("format"),  # type: ignore[arg-type]  # Table refuses what is none
            prefix=prefix,
            delimiter=entry.text("delimiter", ","),
            partitions=partitions,
            description=entry.text("description", ""),
        )
    raise AssertionError("unreachable")


def _column(entry: _Entry) -> Column:
    with entry.faults():
        return Column(
            name=entry.text("name"),
            type=entry.text("type").lower().replace("array(double)", "array<double>"),
            nullable=bool(entry.value("nullable", bool, False)),
            pattern=entry.text("pattern", ""),
            means=entry.text("means", ""),
            one_of=entry.texts("one_of", ()),
            minimum=entry.number("minimum"),
            maximum=entry.number("maximum"),
            above=entry.number("above"),
            length=int(entry.value("length", int, 0)),
            description=entry.text("description", ""),
        )
    raise AssertionError("unreachable")


def _checks(entry: _Entry) -> tuple[tuple[tuple[str, ...], ...], tuple[Derived, ...]]:
    ordered: list[tuple[str, ...]] = []
    derived: list[Derived] = []
    for check in entry.entries("checks", ("rises", "column", "is"), required=False):
        if check.has("rises"):
            names = check.texts("rises")
            if len(names) < 2 or check.has("column") or check.has("is"):
                raise check.fault("rises", "two columns or more rise, and the check says nothing else")
            ordered.append(names)
            continue
        part, _, of = check.text("is").partition(" of ")
        if part not in get_args(Part) or not of.strip():
            parts = ", ".join(get_args(Part))
            raise check.fault(
                "is", f"'{check.text('is')}' is not '<part> of <column>', part being one of {parts}"
            )
        derived.append(Derived(check.text("column"), part, of.strip()))  # type: ignore[arg-type]
    return tuple(ordered), tuple(derived)


class _Faults:
    """Turns a declaration's own faults into errors that name the line."""

    def __init__(self, entry: _Entry) -> None:
        self._entry = entry

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, UnsoundError):
            raise self._entry.fault(error.key, str(error)) from None


class _Entry:
    """One mapping of the yml, with the lines of its keys."""

    def __init__(self, file: str, node: Node, keys: tuple[str, ...]) -> None:
        from yaml.nodes import MappingNode

        self.file, self.line = file, node.start_mark.line + 1
        self._nodes: dict[str, tuple[int, Node]] = {}
        if not isinstance(node, MappingNode):
            raise self._error(self.line, f"keys and values are due here: {', '.join(keys)}")
        self._take(node, keys)

    def _take(self, node: MappingNode, keys: tuple[str, ...]) -> None:
        for key_node, value in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if key not in keys:
                near = get_close_matches(key, keys, 1)
                meant = f"; {near[0]} is meant, perhaps" if near else ""
                raise self._error(line, f"'{key}' is no key here (there are {', '.join(keys)}){meant}")
            if key in self._nodes:
                raise self._error(line, f"{key} is given twice")
            self._nodes[key] = (line, value)

    def _error(self, line: int, problem: str) -> DeclarationError:
        return DeclarationError(f"{self.file} line {line}: {problem}.", hint=_HINT)

    def fault(self, key: str, problem: str) -> DeclarationError:
        """Return the error that names a key, and its line (the entry's own where the key is not given)."""
        line = self._nodes[key][0] if key in self._nodes else self.line
        return self._error(line, f"{key}: {problem}")

    def faults(self) -> _Faults:
        return _Faults(self)

    def has(self, key: str) -> bool:
        return key in self._nodes

    def value(self, key: str, kind: type | tuple[type, ...], default: object = ...) -> Any:
        """Return a plain value of a kind; raises DeclarationError for another kind, or none where there is no default."""
        if key not in self._nodes:
            if default is ...:
                raise self.fault(key, "is missing")
            return default
        found = _plain(self._nodes[key][1])
        if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
            raise self.fault(key, f"{found!r} is not {_KINDS[kind]}")
        return found

    def text(self, key: str, default: object = ...) -> str:
        found = str(self.value(key, str, default))
        if not found and default is ...:
            raise self.fault(key, "is empty")
        return found

    def number(self, key: str) -> float | None:
        found = self.value(key, (int, float), None)
        if isinstance(found, float) and not abs(found) < float("inf"):
            raise self.fault(key, f"{found} is no bound")
        return found  # type: ignore[no-any-return]

    def texts(self, key: str, default: object = ...) -> tuple[str, ...]:
        found = self.value(key, list, default)
        for item in found:
            if not isinstance(item, str):
                raise self.fault(key, f"{item!r} is not text (put it in quotes)")
        return tuple(found)

    def matching(self, key: str, pattern: re.Pattern[str], means: str, default: object = ...) -> str:
        found = self.text(key, default)
        if key in self._nodes and not pattern.fullmatch(found):
            raise self.fault(key, f"'{found}' is not {means}")
        return found

    def entries(self, key: str, keys: tuple[str, ...], *, required: bool = True) -> list[_Entry]:
        """Return the mappings of a list."""
        from yaml.nodes import SequenceNode

        if key not in self._nodes:
            if required:
                raise self.fault(key, "is missing")
            return []
        line, node = self._nodes[key]
        if not isinstance(node, SequenceNode):
            raise self._error(line, f"{key}: a list is due here")
        return [_Entry(self.file, item, keys) for item in node.value]


_KINDS: dict[object, str] = {
    str: "text (put it in quotes)",
    bool: "true or false",
    int: "a whole number",
    (int, float): "a number",
    list: "a list: [a, b]",
}


def _plain(node: Node) -> Any:
    from yaml import SafeLoader

    loader = SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    finally:
        loader.dispose()
