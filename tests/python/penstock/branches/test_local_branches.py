"""Local database branches on the embedded PostgreSQL: copies that are whole or not there, whoever is connected or killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from penstock.branches.local import LocalBranches, database_url
from penstock.connections import Connections
from penstock.errors import BranchError, SettingsError


@pytest.fixture
def base(stack_without_athena: Connections) -> Iterator[str]:
    """The URL of a database that stands for the stack's own, with one table in it."""
    name = f"base_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(stack_without_athena.database_url, autocommit=True) as admin:
        admin.execute(f"create database {name}".encode())
    url = database_url(stack_without_athena.database_url, name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table t as select generate_series(1, 1000) as a")
    yield url
    with psycopg.connect(stack_without_athena.database_url, autocommit=True) as admin:
        admin.execute(f"drop database {name} with (force)".encode())


@pytest.fixture
def name(base: str) -> Iterator[str]:
    """A branch's name of the test's own; the branch is gone afterwards."""
    made = f"preview/pr-{uuid.uuid4().int % 1_000_000_000}"
    yield made
    LocalBranches(base).delete(made)


@pytest.fixture
def branches(base: str) -> LocalBranches:
    return LocalBranches(base)


def count(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("select count(*) from t").fetchone()
    assert row
    return int(row[0])


def change(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def scratch(url: str) -> list[str]:
    """Return the databases that only a copy at work, or a killed one, leaves there."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "select datname from pg_database where datname like 'penstock_copy_%' or datname like 'penstock_trash_%'"
        ).fetchall()
    return [row[0] for row in rows]


def test_create_differ_reset_delete(branches: LocalBranches, base: str, name: str) -> None:
    created = branches.create(name)
    url = branches.database_url(name)

    assert (created.new, created.branch.name, created.branch.parent) == (True, name, "local")
    assert conninfo_to_dict(url)["dbname"] == name
    change(url, "delete from t where a > 10")
    assert (count(url), count(base)) == (10, 1000)

    branches.reset(name)
    assert count(url) == 1000

    assert branches.delete(name) is True
    assert branches.delete(name) is False
    with pytest.raises(BranchError, match=f"no database branch '{name}'"):
        branches.database_url(name)


def test_create_twice_keeps_what_was_changed(branches: LocalBranches, name: str) -> None:
    first = branches.create(name)
    change(branches.database_url(name), "delete from t")

    second = branches.create(name)

    assert (first.new, second.new) == (True, False)
    assert second.branch.created_at == first.branch.created_at
    assert count(branches.database_url(name)) == 0


def test_two_creates_at_once_end_with_one_branch(base: str, name: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: LocalBranches(base).create(name).new, range(3)))

    assert sorted(found) == [False, False, True]
    assert count(LocalBranches(base).database_url(name)) == 1000


def test_session_on_the_parent_is_named_and_not_ended(branches: LocalBranches, base: str, name: str) -> None:
    with psycopg.connect(base, application_name="a notebook") as session:
        session.execute("select 1")
        with pytest.raises(
            BranchError, match=r"while others are connected to it: a notebook of \w+ \(pid"
        ) as caught:
            branches.create(name)
        assert session.execute("select 2").fetchone() == (2,)

    assert "nothing was changed" in caught.value.hint
    assert name not in [branch.name for branch in branches.all()]
    assert branches.create(name).new


def test_session_on_the_parent_that_leaves_in_time_is_waited_for(
    branches: LocalBranches, base: str, name: str
) -> None:
    session = psycopg.connect(base)
    with ThreadPoolExecutor(1) as pool:
        created = pool.submit(branches.create, name)
        time.sleep(0.5)
        session.close()
        assert created.result(60).new


def test_refused_reset_leaves_the_branch_as_it_was(branches: LocalBranches, base: str, name: str) -> None:
    branches.create(name)
    change(branches.database_url(name), "delete from t")

    with psycopg.connect(base), pytest.raises(BranchError, match="cannot be copied"):
        branches.reset(name)

    assert count(branches.database_url(name)) == 0


def test_reset_and_delete_end_sessions_on_the_branch(branches: LocalBranches, name: str) -> None:
    branches.create(name)
    url = branches.database_url(name)
    for action in (branches.reset, branches.delete):
        with psycopg.connect(url, autocommit=True) as session:
            action(name)
            with pytest.raises(psycopg.OperationalError):
                session.execute("select 1")


KILLED = """
import sys
import penstock.branches.local as local

step, base, name, action = sys.argv[1:]
original = getattr(local, step)

def reached(*arguments):
    trash = arguments[-1].startswith("penstock_trash_") if isinstance(arguments[-1], str) else False
    if (step == "_drop" and not trash) or (step == "_rename" and trash):  # the second rename of the swap
        return original(*arguments)
    print("reached", flush=True)
    import time
    time.sleep(60)

setattr(local, step, reached)
getattr(local.LocalBranches(base), action)(name)
"""


@pytest.mark.parametrize(
    ("action", "step", "rows_after"),
    [
        ("create", "_comment", None),  # copied, not yet marked
        ("create", "_rename", None),  # marked, not yet in place
        ("reset", "_comment", 0),
        ("reset", "_rename", 0),  # half way through the transaction that swaps
        ("reset", "_drop", 1000),  # swapped; the old one still there
    ],
)
def test_killed_create_or_reset_leaves_the_old_or_the_new_and_the_next_call_clears_up(
    branches: LocalBranches, base: str, name: str, action: str, step: str, rows_after: int | None
) -> None:
    if action == "reset":
        branches.create(name)
        change(branches.database_url(name), "delete from t")
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, step, base, name, action], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "reached\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait(60)
    process.stdout.close()

    there = {branch.name for branch in branches.all()}
    assert (name in there) is (rows_after is not None)
    if rows_after is not None:
        assert count(branches.database_url(name)) == rows_after

    branches.create(name)
    branches.reset(name)
    assert count(branches.database_url(name)) == 1000
    assert scratch(base) == []


def test_expiry_is_kept_changed_and_told(branches: LocalBranches, name: str) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    branches.create(name, now + timedelta(days=7))

    def shown() -> datetime | None:
        return next(branch.expires_at for branch in branches.all() if branch.name == name)

    assert shown() == now + timedelta(days=7)
    branches.reset(name)
    assert shown() == now + timedelta(days=7)
    branches.create(name, now + timedelta(days=9))
    assert shown() == now + timedelta(days=9)
    past = branches.expire(name, now - timedelta(hours=1))
    assert past.is_expired(now)
    branches.expire(name, None)
    assert shown() is None


def test_list_shows_the_own_database_protected_and_no_stranger(
    branches: LocalBranches, base: str, name: str
) -> None:
    branches.create(name)

    found = {branch.name: branch for branch in branches.all()}

    assert found["local"].protected
    assert not found[name].protected
    assert (found[name].size_bytes or 0) > 1_000_000
    assert "postgres" not in found
    assert str(conninfo_to_dict(base)["dbname"]) not in found


def test_database_made_by_hand_is_left_alone(branches: LocalBranches, base: str) -> None:
    name = f"mine_{uuid.uuid4().hex[:8]}"
    change(base, f'create database "{name}"')
    try:
        with pytest.raises(BranchError, match="that is no branch"):
            branches.create(name)
        with pytest.raises(BranchError, match="is no branch"):
            branches.delete(name)
        with pytest.raises(BranchError, match="no database branch"):
            branches.reset(name)
        change(base, f"comment on database \"{name}\" is 'my own words'")
        with pytest.raises(BranchError, match="is no branch"):
            branches.delete(name)
    finally:
        change(base, f'drop database "{name}"')


@pytest.mark.parametrize("action", ["create", "reset", "delete"])
def test_the_servers_own_databases_are_left_alone(branches: LocalBranches, base: str, action: str) -> None:
    for name in ("postgres", "template1", str(conninfo_to_dict(base)["dbname"])):
        with pytest.raises(BranchError, match="local server's own database"):
            getattr(branches, action)(name)
    for name in ("dev", "main", "local"):
        with pytest.raises(BranchError, match="environment's own branch"):
            getattr(branches, action)(name)
    with pytest.raises(SettingsError):
        getattr(branches, action)('x"; drop database postgres; --')


def test_server_that_is_not_there_is_told_without_the_password() -> None:
    branches = LocalBranches("postgresql://u:sEcrEt@127.0.0.1:1/d")

    with pytest.raises(BranchError, match="cannot be reached") as caught:
        branches.all()

    assert caught.value.hint == "invoke up"
    assert "sEcrEt" not in caught.value.message


def test_own_branch_is_the_stacks_own_database(branches: LocalBranches, base: str) -> None:
    assert branches.database_url("local") == base
