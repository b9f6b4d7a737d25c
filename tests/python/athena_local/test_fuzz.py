"""Ten thousand broken statements: each ends in a result or in an Athena error, and none sees the machine.

The statements are mutations of a corpus that has one of every kind. Most go straight to the engine, in this process, where
an audit hook sees every file that Python opens and every address it connects to; some go over HTTP. A canary file lies
beside the data directory, a canary server listens beside the S3 endpoint. The seed is fixed; ATHENA_FUZZ_SEED and
ATHENA_FUZZ_STATEMENTS change it for longer runs by hand.
"""

from __future__ import annotations

import os
import random
import re
import socket
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from athena_local.context import QueryContext
from athena_local.errors import QueryCancelledError, QueryError
from athena_local.sql import parse_statement
from athena_local.sql.functions import FUNCTIONS
from athena_local.sql.grammar.words import RESERVED
from athena_local.sql.lexer import tokenize
from athena_local.statements import execute as execute_statement

SEED = int(os.environ.get("ATHENA_FUZZ_SEED", "20250101"))
STATEMENTS = int(os.environ.get("ATHENA_FUZZ_STATEMENTS", "10000"))
OVER_HTTP = 500
SECRET = "penstock-canary-5d0e"
INTERNAL = {"GENERIC_INTERNAL_ERROR", "INTERNAL_ERROR"}
TRINOS_OWN_INTERNAL = ("Number of merge columns (",)  # Trino checks these by assertions of its own
SECONDS_A_STATEMENT = 100  # milliseconds but for a few; more is a hang

SETUP = (
    "create external table hive (a int, b string, c double, d array<int>, e struct<x:int,y:string>, m map<string,int>)"
    " partitioned by (p string) stored as parquet location '{lake}hive/'",
    "insert into hive values (1, 'x', 1.5, array[1, 2], cast(row(1, 'y') as row(x int, y varchar)), map(array['k'],"
    " array[1]), 'p1')",
    "create table ice (id bigint, name string, day date) location '{lake}ice/' tblproperties ('table_type'='ICEBERG')",
    "insert into ice values (1, 'one', date '2025-01-01'), (2, 'two', date '2025-01-02')",
    "create view seen as select a, b from hive",
)
CORPUS = (
    "select a, b, c from hive where p = 'p1' and a between 0 and 5 order by a desc nulls first limit 3",
    "select h.b, count(*) filter (where h.a > 0) n, sum(c) over (partition by h.b order by h.a rows between 1 preceding and"
    " current row) from hive h group by h.b, h.a, h.c having count(*) > 0",
    "select e.x, d[1], m['k'], element_at(m, 'z'), cardinality(d) from hive",
    "select t.x, n from hive cross join unnest(d) with ordinality as t(x, n)",
    "select * from hive h left join ice i on h.a = i.id join seen s using (a)",
    "with w(q) as (select a + 1 from hive), v as (values (1, 'a'), (2, 'b')) select * from w, v",
    "with recursive r(n) as (select 1 union all select n + 1 from r where n < 5) select sum(n) from r",
    "select a from hive union all (select id from ice order by id limit 1) except select 7 intersect select 8",
    "select b, grouping(b) from hive group by grouping sets ((b), ()), cube (a), rollup (c)",
    "select distinct b, a from hive order by 2 offset 1 rows fetch first 2 rows with ties",
    "select case when a > 0 then 'x' else b end, if(a is null, 1, 2), coalesce(b, 'z'), nullif(a, 1), try(1 / a) from hive",
    "select a in (select id from ice), exists (select 1 from ice where id = a), a = any (values 1, 2) from hive",
    "select cast(a as varchar), try_cast(b as bigint), date '2025-01-01' + interval '1' day, timestamp '2025-01-01"
    " 00:00:00.1'",
    "select transform(d, x -> x * 2), filter(d, x -> x > 1), reduce(d, 0, (s, x) -> s + x, s -> s) from hive",
    "select json_extract_scalar('{\"a\": [1]}', '$.a[0]'), regexp_replace('abc', '(b)', '[$1]'), split('a,b', ',')",
    "select substring('abc' from 2 for 1), position('b' in 'abc'), trim(both ' ' from ' a '), extract(year from"
    " current_date)",
    "select row(1, 'a'), array[1, 2] || 3, map(array[1], array['x']), x'4142', 1.5, 1e3, -7 % 3, 'it''s'",
    "select listagg(b, ',') within group (order by b), array_agg(a order by a), approx_distinct(a), max_by(b, a) from hive",
    "select a, rank() over w, lag(a, 1) over w from hive window w as (partition by b order by c)",
    'select "$path", awsdatacatalog.default.hive.a from awsdatacatalog.default.hive tablesample bernoulli (50)',
    "select * from ice for version as of 1",
    'select * from "ice$snapshots"',
    "select table_name from information_schema.tables where table_schema = 'default'",
    "select * from table(sequence(start => 1, stop => 3))",
    "table ice",
    "values (1, 'a'), (2, null)",
    "insert into ice (id, name) select a, b from hive where a < 0",
    "update ice set name = name || '!' where id = 99",
    "delete from ice where id = 99 and day < date '2020-01-01'",
    "merge into ice t using (select 5 id, 'five' name) s on t.id = s.id when matched and s.id < 0 then delete"
    " when not matched and s.id < 0 then insert (id, name) values (s.id, s.name)",
    "create table if not exists ice as select 1 a",
    "create table made with (format = 'PARQUET', external_location = '{lake}made/') as select 1 a, 'b' b with no data",
    "create or replace view seen as select a, b from hive",
    "create external table if not exists hive (a int, b array<struct<c:map<string,decimal(10,2)>>>) partitioned by (p date)"
    " row format serde 'org.openx.data.jsonserde.JsonSerDe' stored as textfile location '{lake}x/' tblproperties ('k'='v')",
    "create database if not exists other comment 'c' location '{lake}other/'",
    "drop table if exists nothing",
    "drop view if exists nothing",
    "alter table hive add if not exists partition (p = 'p2') location '{lake}hive/p2/'",
    "alter table hive set tblproperties ('comment' = 'x')",
    "alter table ice add columns (extra int)",
    "msck repair table hive",
    "show tables in default 'h*'",
    "show create table hive",
    "show partitions hive",
    "show columns from ice",
    "describe formatted hive",
    "explain select a from hive where p = 'p1'",
    "prepare one from select a from hive where a = ?",
    "execute one using 1",
    "deallocate prepare one",
    "optimize ice rewrite data using bin_pack where id = 1",
    "vacuum ice",
    "unload (select a from hive where a < 0) to '{lake}unloaded/' with (format = 'JSON')",
)
FOREIGN = (
    "read_csv('{canary}')", "read_text('{canary}')", "'{canary}'", "\"{canary}\"", "glob('/*')", "read_parquet('{url}')",
    "'{url}'", "\"{url}\"", "read_json_auto('{url}')", "getenv('HOME')", "current_setting('home_directory')",
    "duckdb_settings()", "sqlite_master", "pragma_version()", "* exclude (a)", "columns(*)", "list_value(1, 2)", "[1, 2]",
    "{{'a': 1}}", "::varchar", "qualify true", "from range(3)", "using sample 1", "asof join ice", "->> 'a'", "$1", "$$a$$",
    "/* ", "*/", "-- x\n", "`a`", ";", "; select 1", "{0}", "\"{{0}}\"", "'{{1}}'", "error('x')", "trino_x(1)",
    "union by name",
    "copy (select 1) to '{canary}'", "attach '{canary}'", "install httpfs", "set x = 1", "lambda x: x",
    "struct_extract(e, 'x')",
    "\"a\"\"b\"", "\"\"", "'\\'", "'", '"', "\\", "\x00", "\u202e", "\ufeff", "\U0001f600", "\u00a0", "\ud7ff", "１",
    "ſelect",
)  # fmt: skip
NUMBERS = (
    "0", "1", "-1", "2147483648", "9223372036854775807", "9223372036854775808", "99999999999999999999999999999999999999999",
    "1e308", "1e999", "1.", ".5", "0x1F", "1_000", "3.141592653589793238462643383279502884197", "1e-400",
)  # fmt: skip


@dataclass
class Mutator:
    """Makes statements; the same seed makes the same ones."""

    random: random.Random
    places: dict[str, str]
    corpus: list[list[str]] = field(init=False)

    def __post_init__(self) -> None:
        self.corpus = [_pieces(text.replace("{lake}", self.places["lake"])) for text in CORPUS]

    def statement(self) -> str:
        """Return a statement: broken anywhere, or changed so that it still reads, or made up from the grammar."""
        way = self.random.choices(("broken", "changed", "made"), (17, 2, 1))[0]
        if way == "made":
            return self.query(3)
        pieces = list(self.random.choice(self.corpus))
        for _ in range(self.random.choice((1, 1, 1, 2, 2, 3, 5, 9))):
            mutations = _MUTATIONS if way == "broken" else _GENTLE
            pieces = self.random.choice(mutations)(self, pieces) or ["select"]
        return self._joined(pieces)

    # made up from the grammar: it reads, and seldom means anything

    def query(self, depth: int) -> str:
        if depth > 1 and self.random.random() < 0.2:
            return self.filled(self.random.choice(_QUERIES), depth)
        items = ", ".join(self.filled("%?", depth) for _ in range(self.random.choice((1, 1, 2, 3))))
        text = f"select {self.random.choice(('', '', '', 'distinct '))}{items}"
        text += self.filled(self.random.choice(_FROMS), depth)
        for clause, share in _CLAUSES:
            if self.random.random() < share:
                text += self.filled(clause, depth)
        return text

    def expression(self, kind: str, depth: int) -> str:
        """Return an expression of a kind of type, as far as the templates know; now and then of another."""
        if kind == "?" or self.random.random() < 0.03:
            kind = self.random.choice([*_BY_KIND])
        leaves, templates = _BY_KIND[kind]
        if depth <= 0:
            return self.random.choice(leaves)
        if self.random.random() < 0.05:
            count = self.random.choice((0, 1, 1, 2, 2, 3))
            arguments = ", ".join(self.expression("?", depth - 2) for _ in range(count))
            return f"{self.random.choice(_CALLED)}({arguments})"
        return self.filled(self.random.choice(templates), depth - 1)

    def filled(self, template: str, depth: int) -> str:
        """Put something in each hole: `%i` a whole number, `%?` anything, `%q` a query …"""

        def hole(match: re.Match[str]) -> str:
            kind = match.group(1)
            if kind == "%":
                return kind
            return self.query(depth - 1) if kind == "q" else self.expression(kind, depth - 1)

        return _HOLE.sub(hole, template)

    def _joined(self, pieces: list[str]) -> str:
        gap = self.random.choice((" ", " ", " ", "\n", "\t"))
        return gap.join(pieces)

    def at(self, pieces: list[str]) -> int:
        return self.random.randrange(len(pieces))

    def delete(self, pieces: list[str]) -> list[str]:
        start = self.at(pieces)
        return pieces[:start] + pieces[start + self.random.choice((1, 1, 1, 2, 5)) :]

    def repeat(self, pieces: list[str]) -> list[str]:
        start = self.at(pieces)
        end = start + self.random.choice((1, 1, 2, 4))
        return pieces[:end] + pieces[start:end] + pieces[end:]

    def swap(self, pieces: list[str]) -> list[str]:
        one, other = self.at(pieces), self.at(pieces)
        pieces[one], pieces[other] = pieces[other], pieces[one]
        return pieces

    def splice(self, pieces: list[str]) -> list[str]:
        other = self.random.choice(self.corpus)
        return pieces[: self.at(pieces)] + other[self.at(other) :]

    def insert(self, pieces: list[str]) -> list[str]:
        other = self.random.choice(self.corpus)
        start = self.at(other)
        at = self.at(pieces)
        return pieces[:at] + other[start : start + self.random.choice((1, 2, 3, 8))] + pieces[at:]

    def foreign(self, pieces: list[str]) -> list[str]:
        piece = self.random.choice(FOREIGN)
        at = self.at(pieces)
        text = piece.format("{0}", canary=self.places["canary"], url=self.places["url"])
        return [*pieces[:at], text, *pieces[at + self.random.choice((0, 1)) :]]

    def number(self, pieces: list[str]) -> list[str]:
        pieces[self.at(pieces)] = self.random.choice(NUMBERS)
        return pieces

    def noise(self, pieces: list[str]) -> list[str]:
        at = self.at(pieces)
        text = pieces[at]
        cut = self.random.randrange(len(text) + 1)
        mark = chr(self.random.choice((self.random.randrange(1, 128), self.random.randrange(128, 0xD7FF))))
        pieces[at] = text[:cut] + mark + text[cut + self.random.choice((0, 1)) :]
        return pieces

    def nest(self, pieces: list[str]) -> list[str]:
        at, depth = self.at(pieces), self.random.choice((2, 5, 20))
        opening, closing = self.random.choice(
            (("(", ")"), ("array[", "]"), ("abs(", ")"), ("(select ", ")"), ("-", ""))
        )
        return [*pieces[:at], opening * depth + pieces[at] + closing * depth, *pieces[at + 1 :]]

    def like(self, pieces: list[str]) -> list[str]:
        """Put another piece of the same kind in the place of one: the statement still reads."""
        at = self.at(pieces)
        kind = _kind(pieces[at])
        others = [item for one in self.corpus for item in one if _kind(item) == kind]
        if kind == "number":
            others = [item for item in NUMBERS if item[0] != "-"]
        pieces[at] = self.random.choice(others) if others else pieces[at]
        return pieces

    def group(self, pieces: list[str]) -> list[str]:
        """Put an expression where something in brackets stands."""
        starts = [at for at, piece in enumerate(pieces) if piece == "("]
        if not starts:
            return pieces
        at, depth = self.random.choice(starts), 0
        for end in range(at, len(pieces)):
            depth += {"(": 1, ")": -1}.get(pieces[end], 0)
            if depth == 0:
                return [*pieces[: at + 1], self.expression("?", 2), *pieces[end:]]
        return pieces

    def name(self, pieces: list[str]) -> list[str]:
        words = [item for one in self.corpus for item in one if item.isidentifier()]
        pieces[self.at(pieces)] = self.random.choice(words)
        return pieces


_MUTATIONS = (
    Mutator.delete, Mutator.repeat, Mutator.swap, Mutator.splice, Mutator.insert, Mutator.foreign, Mutator.foreign,
    Mutator.number, Mutator.noise, Mutator.nest, Mutator.name, Mutator.name,
)  # fmt: skip


_GENTLE = (Mutator.like, Mutator.like, Mutator.like, Mutator.group, Mutator.name)
_HOLE = re.compile(r"%([%?itbfdsrmq])")
_ANY = ("coalesce(%1, %1)", "case when %b then %1 else %1 end", "if(%b, %1)", "(select %1)", "nullif(%1, %1)", "try(%1)",
        "max(%1) over (partition by %?)", "first_value(%1) over (order by %i)", "max_by(%1, %i)", "array[%1, %1][1]",
        "element_at(array[%1], %i)", "lag(%1) over (order by %d)", "arbitrary(%1) filter (where %b)",
        "try_cast(%? as %type)",
        "(select max(%1) from (values (1, 'x')) v(a, b))")  # fmt: skip
_KINDS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "i": ("bigint", ("a", "h.a", "1", "0", "-1", "9223372036854775807", "e.x", "cast(null as integer)", "count(*)"),
          ("(%i + %i)", "(%i - %i)", "(%i * %i)", "(%i / %i)", "(%i % %i)", "-%i", "length(%t)", "cardinality(%r)", "%r[%i]",
           "strpos(%t, %t)", "position(%t in %t)", "date_diff('day', %d, %d)", "year(%d)", "extract(hour from %s)",
           "sum(%i)",
           "count(distinct %?)", "element_at(%m, %t)", "reduce(%r, %i, (s, x) -> s + x, s -> s)", "bitwise_and(%i, %i)",
           "rank() over (order by %?)", "cast(%f as bigint)", "codepoint(%t)", "from_base(%t, 16)",
           "levenshtein_distance(%t, %t)",
           "sum(%i) over (order by %i rows between 1 preceding and %i following)", "crc32(to_utf8(%t))",
           "json_array_length(%t)")),
    "t": ("varchar", ("b", "h.b", "'x'", "''", "'1'", "'2025-01-01'", "e.y", "cast(null as varchar)", "'ünï'"),
          ("(%t || %t)", "upper(%t)", "substr(%t, %i)", "substring(%t from %i for %i)", "trim(both %t from %t)",
          "cast(%? as varchar)",
           "replace(%t, %t, %t)", "regexp_replace(%t, '(a)', '$1')", "regexp_extract(%t, %t)", "split_part(%t, %t, %i)",
           "date_format(%s, '%%Y-%%m')", "format_datetime(%s, 'yyyy')", "json_extract_scalar(%t, '$.a')",
           "listagg(%t, ',') within group (order by %i)",
           "array_join(%r, ',')", "lpad(%t, %i, %t)", "to_hex(md5(to_utf8(%t)))", "typeof(%?)", "chr(%i)",
           "concat(%t, %t, %t)",
           "json_format(cast(%? as json))", "reverse(%t)", "to_iso8601(%s)", "format('%%s', %?)", "url_encode(%t)",
           "normalize(%t)")),
    "b": ("boolean", ("true", "false", "null", "a = 1", "b = 'x'"),
          ("(%i = %i)", "(%t < %t)", "(%d >= %d)", "(%f <> %f)", "(%r = %r)", "(%b and %b)", "(%b or %b)", "not %b",
          "(%i between %i and %f)",
           "(%t in (%t, %t))", "(%t like %t)", "(%t like %t escape '!')", "(%? is null)", "(%i is distinct from %i)",
           "exists (%q)",
           "(%i in (select %i))", "(%i > all (select %i))", "regexp_like(%t, %t)", "contains(%r, %i)",
           "any_match(%r, x -> x > %i)",
           "bool_and(%b)", "((%i, %t) = (%i, %t))", "is_nan(%f)", "starts_with(%t, %t)", "(row(%i) < row(%i))")),
    "f": ("double", ("c", "1.5", "1e0", "-0e0", "infinity()", "nan()", "pi()", "cast(null as double)"),
          ("(%f + %i)", "(%f / %f)", "(%f % %f)", "sqrt(%f)", "power(%f, %i)", "round(%f, %i)", "avg(%i)",
          "stddev(%f)", "cast(%i as double)",
           "ln(%f)", "abs(%f)", "approx_percentile(%f, 0.5)", "cast(%i as decimal(10, 2)) * 1.5", "greatest(%f, %i)",
           "cast(%t as real)",
           "truncate(%f)", "width_bucket(%f, 0, 10, %i)", "corr(%f, %f)", "cos(%f)", "percent_rank() over (order by %f)")),
    "d": ("date", ("date '2025-01-31'", "date '1582-10-15'", "current_date", "cast(null as date)"),
          ("(%d + interval '1' month)", "date_add('month', %i, %d)", "date_trunc('week', %d)", "cast(%s as date)",
          "date(%t)", "min(%d)",
           "last_day_of_month(%d)", "greatest(%d, %d)")),
    "s": ("timestamp(3)", ("timestamp '2025-01-01 01:02:03.456'", "localtimestamp", "cast(null as timestamp)",
    "timestamp '1900-01-01'"),
          ("(%s - interval '90' minute)", "date_trunc('hour', %s)", "cast(%d as timestamp)", "from_unixtime(%f)",
          "date_parse(%t, '%%Y-%%m-%%d')",
           "cast(%s at time zone 'Asia/Tokyo' as timestamp)", "with_timezone(%s, 'Europe/Berlin')",
           "date_add('second', %i, %s)",
           "from_iso8601_timestamp(%t)", "cast(%t as timestamp)", "current_timestamp",
           "at_timezone(current_timestamp, 'UTC')")),
    "r": ("array(integer)", ("d", "array[1, 2]", "array[3]", "cast(array[] as array(integer))"),
          ("array[%i, %i]", "(%r || %r)", "(%r || %i)", "transform(%r, x -> %i)", "filter(%r, x -> %b)",
          "array_sort(%r)", "slice(%r, 1, %i)",
           "sequence(1, 3)", "array_agg(%i order by %?)", "array_distinct(%r)", "map_values(%m)",
           "zip_with(%r, %r, (x, y) -> x + y)",
           "array_except(%r, %r)", "repeat(%i, 3)", "flatten(array[%r, %r])", "array_remove(%r, %i)", "shuffle(%r)",
           "array_sort(%r, (x, y) -> x - y)")),
    "m": ("map(varchar, integer)", ("m", "map(array['k'], array[1])", "map()"),
          ("map(array[%t], array[%i])", "map_filter(%m, (k, v) -> %b)", "transform_values(%m, (k, v) -> v + %i)",
          "map_concat(%m, %m)",
           "map_agg(%t, %i)", "histogram(%t)", "map_from_entries(array[(%t, %i)])", "transform_keys(%m, (k, v) -> %t)",
           "split_to_map(%t, ',', '=')")),
}  # fmt: skip
_BY_KIND = {
    kind: (leaves, (*templates, *(item.replace("%1", f"%{kind}").replace("%type", name) for item in _ANY)))
    for kind, (name, leaves, templates) in _KINDS.items()
}
_FROMS = (
    "", " from hive h", " from hive h", " from hive h", " from seen h", " from (values (1, 'x'), (2, null)) h(a, b)",
    " from (%q) h", " from hive h join ice i on %b", " from hive h left join (%q) i using (a)",
    " from hive h, unnest(%r) u(x)",
    " from hive h cross join lateral (%q) l", " from unnest(%r, %r) with ordinality as h(a, c, n)",
    " from ((hive h join seen s on %b)) j",
)  # fmt: skip
_CLAUSES = (
    (" where %b", 0.3), (" group by a, %?", 0.1), (" group by rollup (a, b), %i", 0.05), (" having %b", 0.05),
    (" order by %? desc nulls first", 0.2), (" offset 1", 0.05), (" limit 5", 0.1),
)  # fmt: skip
_QUERIES = (
    "%q union %q", "%q except all %q", "(%q) intersect (%q)", "values (%i, %t), (%i, %t)", "values %?, %?",
    "with w as (%q) select * from w", "with w(a, b) as (select %i, %t), h as (table w) select %? from h",
    "select * from (%q) h",
    "with recursive r(a) as (select %i union all select %i from r where %b) select * from r", "select h.* from (%q) h",
    "select (cast(row(%i, %t) as row(p bigint, q varchar))).*", "select h.a, %i from hive h group by h.a having %b",
)  # fmt: skip
_CALLED = sorted(FUNCTIONS)


def _kind(piece: str) -> str:
    if piece[0].isdigit():
        return "number"
    if piece.isidentifier():
        return "word" if piece.upper() in RESERVED else "name"
    return "string" if piece[0] in "'\"" else piece


def _pieces(text: str) -> list[str]:
    return [token.text for token in tokenize(text)]


class Watch:
    """Notes what this process opens and whom it calls, outside what a query may touch."""

    def __init__(self) -> None:
        self.active = False
        self.allowed: tuple[str, ...] = ()
        self.ports: set[int] = set()
        self.seen: list[str] = []
        sys.addaudithook(self._note)  # a hook cannot be removed: `active` ends its work

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.active:
            return
        if event == "open" and isinstance(arguments[0], str):
            path = Path(arguments[0])
            # a tree is removed by names relative to its folders, which are no files here
            is_here = path.is_absolute() or path.exists()
            if is_here and not str(path.absolute()).startswith(self.allowed):
                self.seen.append(f"open {path}")
        elif (
            event == "socket.connect"
            and isinstance(arguments[1], tuple)
            and arguments[1][1] not in self.ports
        ):
            self.seen.append(f"connect {arguments[1]}")
        elif event in {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"}:
            self.seen.append(f"{event} {arguments[0]}")


WATCH = Watch()


class Watchdog:
    """Stops a statement that takes too long: a thread for all of them."""

    def __init__(self) -> None:
        self._running: tuple[float, QueryContext] | None = None
        threading.Thread(target=self._watch, daemon=True).start()

    def begin(self, context: QueryContext) -> None:
        self._running = (time.monotonic() + SECONDS_A_STATEMENT, context)

    def end(self) -> None:
        self._running = None

    def _watch(self) -> None:
        while True:
            time.sleep(0.5)
            running = self._running
            if running is not None and time.monotonic() > running[0]:
                running[1].cancellation.request()


WATCHDOG = Watchdog()


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    path = tmp_path / "canary.csv"
    path.write_text(f"a,b\n1,{SECRET}\n")
    os.utime(path, (1, time.time()))  # under relatime a read would move the first of these times
    return path


@pytest.fixture
def canary_server() -> Iterator[tuple[int, list[Any]]]:
    """A port of this machine that nobody has a reason to call, and who called."""
    callers: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        stopped = threading.Event()

        def accept() -> None:
            while not stopped.is_set():
                try:
                    connection, address = server.accept()
                except TimeoutError:
                    continue
                callers.append(address)
                connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1], callers
        stopped.set()
        thread.join()


def _outcome(sql: str, context: QueryContext) -> str:
    """Return the error's code, or OK; anything but an Athena error escapes."""
    WATCHDOG.begin(context)
    try:
        result = execute_statement(parse_statement(sql), context)
        told = repr(result.lines)
        for batch in result.batches or ():
            told += repr(batch.to_pylist()) if batch.num_rows < 100 else ""
    except QueryCancelledError:
        return f"TOO SLOW {sql!r}"
    except QueryError as error:
        told = str(error).replace(sql, "")
        code = error.code or "InvalidRequest"
        if code in INTERNAL and not error.text.startswith(TRINOS_OWN_INTERNAL):
            return f"{code} {error} {sql!r}"
        return f"SECRET {sql!r}" if SECRET in told else code
    except Exception as error:  # the very thing that must not be
        return f"{type(error).__name__}: {error} {sql!r}"
    finally:
        WATCHDOG.end()
    return f"SECRET {sql!r}" if SECRET in told else "OK"


def test_fuzz_every_statement_ends_in_a_result_or_an_athena_error(
    new_context: Callable[..., QueryContext],
    execute: Callable[..., Any],
    lake: str,
    canary: Path,
    canary_server: tuple[int, list[Any]],
    s3_endpoint: str,
) -> None:
    for sql in SETUP:
        result = execute(sql.replace("{lake}", lake))
        list(result.batches or ())
    port, callers = canary_server
    places = {"lake": lake, "canary": str(canary), "url": f"http://127.0.0.1:{port}/a.csv"}
    mutator = Mutator(random.Random(SEED), places)
    read_before = canary.stat().st_atime
    WATCH.allowed = (
        str(canary.parent / "data"), sys.prefix, sys.base_prefix, str(Path(__file__).parents[3]),
        tempfile.gettempdir() + "/tmp",
        "/dev/", "/proc/self/", "/proc/meminfo", "/sys/fs/cgroup", "/usr/share/zoneinfo", "/etc/localtime",
    )  # fmt: skip
    WATCH.ports = {int(s3_endpoint.rsplit(":", 1)[1])}
    outcomes: Counter[str] = Counter()
    faults: list[str] = []
    WATCH.active = True
    try:
        for _ in range(STATEMENTS - OVER_HTTP):
            outcome = _outcome(mutator.statement(), new_context())
            outcomes[outcome.split(" ")[0]] += 1
            if " " in outcome:
                faults.append(outcome)
    finally:
        WATCH.active = False
    assert faults == [], "\n".join(faults[:20])
    assert WATCH.seen == []
    assert callers == []
    assert canary.stat().st_atime == read_before
    assert outcomes["OK"] > STATEMENTS / 100, outcomes
    assert outcomes["SYNTAX_ERROR"] > STATEMENTS / 10, outcomes
    assert len(outcomes) > 12, outcomes


def test_fuzz_over_http_the_server_answers_each_and_stays(
    server: Any, database: str, lake: str, canary: Path, canary_server: tuple[int, list[Any]]
) -> None:
    port, callers = canary_server
    places = {"lake": lake, "canary": str(canary), "url": f"http://127.0.0.1:{port}/a.csv"}
    mutator = Mutator(random.Random(SEED + 1), places)
    started, refused, faults = [], 0, []
    for _ in range(min(OVER_HTTP, STATEMENTS)):
        sql = mutator.statement()
        try:
            started.append((server.start(sql, database), sql))
        except ClientError as error:
            refused += 1
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 400:
                faults.append(f"{error} {sql!r}")
    for query_id, sql in started:
        status = server.wait(query_id)["Status"]
        reason = status.get("StateChangeReason", "")
        internal = any(code in reason for code in INTERNAL) and not any(
            text in reason for text in TRINOS_OWN_INTERNAL
        )
        if status["State"] == "FAILED" and (internal or not reason):
            faults.append(f"{reason} {sql!r}")
    assert faults == [], "\n".join(faults[:20])
    assert refused > 10
    assert len(started) > 10
    assert callers == []
    assert server.run_query("select 1") == [("1",)]


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        (f"select {'(' * 1000}1{')' * 1000}", "SYNTAX_ERROR"),
        (f"select {'(' * 100}1{')' * 100}", "OK"),
        (f"select {'abs(' * 400}1{')' * 400}", None),
        (f"select {'(select ' * 300}1{')' * 300}", None),
        (f"select * from {'(select * from ' * 300}(select 1) a{')' * 300}", None),
        (f"select {'-' * 5001}1", None),
        (f"select {'not ' * 5000}true", None),
        (f"select {'case when true then ' * 300}1{' end' * 300}", None),
        (f"select {'array[' * 300}1{']' * 300}", None),
        ("select 1 where " + " or ".join(f"1 = {n}" for n in range(5000)), "OK"),
        ("select 1 where " + " and ".join("1 = 1" for _ in range(5000)), "OK"),
        ("select " + " + ".join(["1"] * 3000), None),
        ("select " + " || ".join(["'a'"] * 2000), None),
        ("select " + ", ".join(f"{n} as c{n}" for n in range(2000)), "OK"),
        ("select 1 in (" + ", ".join(map(str, range(5000))) + ")", "OK"),
        ("values " + ", ".join(f"({n}, 'x')" for n in range(3000)), "OK"),
        (" union all ".join(["select 1"] * 500), None),
        ("select 1" + "-- c\n" * 20000, "OK"),
        ("select '" + "x" * 250_000 + "'", "OK"),
        ('select 1 as "' + "x" * 100_000 + '"', None),
        ("select " + "9" * 100_000, "SYNTAX_ERROR"),
        ("select 1." + "9" * 5_000, None),
        ("(" * 100_000, "SYNTAX_ERROR"),
        ("select " + "(" * 100_000, "SYNTAX_ERROR"),
        ("select " + ")" * 100_000, "SYNTAX_ERROR"),
        ("'" * 99_999, "SYNTAX_ERROR"),
        ("/*" * 50_000, "SYNTAX_ERROR"),
        ("with " + ", ".join(f"t{n} as (select {n} a)" for n in range(200)) + " select * from t199", "OK"),
        ("select count(*) from " + ", ".join(f"(select 1) t{n}" for n in range(100)), None),
    ],
    ids=lambda value: str(value)[:30],
)
def test_fuzz_size_and_depth_end_cleanly(
    new_context: Callable[..., QueryContext], sql: str, code: str | None
) -> None:
    outcome = _outcome(sql, new_context())
    assert " " not in outcome, outcome[:500]
    assert code in {None, outcome}


def test_fuzz_same_seed_makes_the_same_statements() -> None:
    places = {"lake": f"s3://b/{uuid.UUID(int=0)}/", "canary": "/c", "url": "http://127.0.0.1:1/"}
    one, other = (Mutator(random.Random(1), places) for _ in range(2))
    made = [one.statement() for _ in range(200)]
    assert made == [other.statement() for _ in range(200)]
    assert len(set(made)) > 190
