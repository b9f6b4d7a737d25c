"""Database branches on the local server: databases made with CREATE DATABASE … TEMPLATE, each named as its branch.

A branch is told from any other database by the comment it carries. Everything is done under a lock a branch, and so that a
kill leaves the branch as it was or as it was to be: a copy is made under a name of its own and renamed in a transaction;
what a killed copy left behind goes with the next call.

Postgres copies a template only while nobody else is connected to it. Sessions there are waited for, then named in the
error: they are somebody's work on the parent and are not ended. Sessions on a branch that is reset or deleted are, as Neon
ends them.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from penstock.branches.model import (
    Branch,
    Created,
    Report,
    no_such_branch,
    require_unprotected,
    silent,
)
from penstock.environments import require_branch_name
from penstock.errors import BranchError

MAINTENANCE_DATABASE = "postgres"
_SYSTEM = frozenset({"postgres", "template0", "template1"})
_MARK = "penstock_branch"
# CREATE DATABASE itself waits 5 s for other sessions to leave; twice that lets a sync of a small table end
_COPY_ATTEMPTS = 2
_LOCK_SECONDS = 120.0  # another's copy of the same branch: a database of some GB takes a minute
_RENAME_ATTEMPTS = (
    5  # an application that reconnects may slip in between the end of its session and the rename
)

Connection = psycopg.Connection[tuple[Any, ...]]


class LocalBranches:
    """The branches of the local server. `database_url` is the stack's own database, which they are copied from."""

    def __init__(
        self,
        database_url: str,
        *,
        own_branch: str = "local",
        report: Report = silent,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._url = database_url
        self._template = str(conninfo_to_dict(database_url)["dbname"])
        self._own_branch = own_branch
        self._report, self._clock = report, clock

    def all(self) -> list[Branch]:
        with self._server() as server:
            rows = server.execute(
                "select datname, pg_database_size(oid), shobj_description(oid, 'pg_database') from pg_database"
                " where not datistemplate order by datname"
            ).fetchall()
        own = [
            Branch(self._own_branch, size_bytes=size, host=self._host, protected=True)
            for name, size, _ in rows
            if name == self._template
        ]
        marked = ((name, size, _mark(comment)) for name, size, comment in rows)
        return own + [
            self._branch(name, mark, size)
            for name, size, mark in marked
            if mark is not None and name == mark.get("name")
        ]

    def create(self, name: str, expires_at: datetime | None = None) -> Created:
        self._require_name(name, "create")
        with self._server() as server, self._alone(server, name):
            mark = self._find(server, name)
            if mark is not None:
                if expires_at is not None and mark.get("expires_at") != expires_at.isoformat():
                    mark |= {"expires_at": expires_at.isoformat()}
                    _comment(server, name, mark)
                return Created(self._branch(name, mark), new=False)
            if _exists(server, name):
                raise BranchError(
                    f"The local server has a database '{name}' that is no branch.",
                    hint="Choose another name: what somebody made by hand is left alone.",
                )
            mark = self._new_mark(name, expires_at)
            copy = self._copy(server, name, mark)
            _rename(server, copy, name)
            return Created(self._branch(name, mark), new=True)

    def reset(self, name: str) -> Branch:
        self._require_name(name, "reset")
        with self._server() as server, self._alone(server, name):
            mark = self._required(server, name) | {"reset_at": self._clock().isoformat()}
            copy = self._copy(server, name, mark)
            self._swap(server, copy, name)
            return self._branch(name, mark)

    def delete(self, name: str) -> bool:
        self._require_name(name, "delete")
        with self._server() as server, self._alone(server, name):
            if self._find(server, name) is None:
                if _exists(server, name):
                    raise BranchError(
                        f"The local database '{name}' is no branch.",
                        hint="It was not made by branch.create: drop it by hand if it must go.",
                    )
                return False
            _drop(server, name)
            return True

    def expire(self, name: str, at: datetime | None) -> Branch:
        self._require_name(name, "delete")
        with self._server() as server, self._alone(server, name):
            mark = self._required(server, name) | {"expires_at": None if at is None else at.isoformat()}
            _comment(server, name, mark)
            return self._branch(name, mark)

    def database_url(self, name: str, *, pooled: bool = False) -> str:  # noqa: ARG002 - there is no pooler here
        if name == self._own_branch:
            return self._url
        with self._server() as server:
            self._required(server, name)
        return database_url(self._url, name)

    # steps

    @contextmanager
    def _server(self) -> Iterator[Connection]:
        try:
            connection = psycopg.connect(
                make_conninfo(
                    self._url,
                    dbname=MAINTENANCE_DATABASE,
                    application_name="penstock branch",
                    connect_timeout=10,
                ),
                autocommit=True,
            )
        except psycopg.OperationalError as error:
            raise BranchError(
                f"The local PostgreSQL cannot be reached: {' '.join(str(error).split())}", hint="invoke up"
            ) from None
        with connection:
            connection.execute("set client_min_messages to warning")
            yield connection

    @contextmanager
    def _alone(self, server: Connection, name: str) -> Iterator[None]:
        """Hold the branch's lock, a session's: it ends with the process. What a killed copy left behind is dropped first."""
        key = f"penstock.branch:{name}"
        until = time.monotonic() + _LOCK_SECONDS
        while server.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", [key]).fetchone() != (
            True,
        ):
            if time.monotonic() >= until:
                raise BranchError(
                    f"Somebody else is at work on the branch '{name}'.", hint="Wait until that has ended."
                )
            time.sleep(0.1)
        try:
            for left in (_copy_name(name), _trash_name(name)):
                if _exists(server, left):
                    _drop(server, left)
            yield
        finally:
            server.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [key])

    def _copy(self, server: Connection, name: str, mark: dict[str, Any]) -> str:
        """Copy the template under the branch's scratch name, mark included; return that name.

        By files: 403 MB took 2.3 and 3.2 s, checkpoints included; through the WAL, Postgres's default, 12.5 and 22.9 s.
        """
        copy = _copy_name(name)
        for attempt in range(1, _COPY_ATTEMPTS + 1):
            self._report(f"copying {self._template} for {name}")
            try:
                server.execute(
                    sql.SQL("create database {} template {} strategy file_copy").format(
                        sql.Identifier(copy), sql.Identifier(self._template)
                    )
                )
                break
            except psycopg.errors.ObjectInUse:
                if attempt == _COPY_ATTEMPTS:
                    raise BranchError(
                        f"{self._template} cannot be copied while others are connected to it: {self._sessions(server)}.",
                        hint="Close them (psql, an application, a notebook), then run it again; nothing was changed.",
                    ) from None
        _comment(server, copy, mark)
        return copy

    def _sessions(self, server: Connection) -> str:
        rows = server.execute(
            "select coalesce(nullif(application_name, ''), 'a session'), usename, pid from pg_stat_activity"
            " where datname = %s and backend_type = 'client backend' order by pid",
            [self._template],
        ).fetchall()
        return (
            ", ".join(f"{what} of {who} (pid {pid})" for what, who, pid in rows)
            or "sessions that have just left"
        )

    def _swap(self, server: Connection, copy: str, name: str) -> None:
        """Put the copy in the branch's place in one transaction, ending the sessions on the branch."""
        for attempt in range(1, _RENAME_ATTEMPTS + 1):
            server.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name]
            )
            try:
                with server.transaction():
                    _rename(server, name, _trash_name(name))
                    _rename(server, copy, name)
                break
            except psycopg.errors.ObjectInUse:
                if attempt == _RENAME_ATTEMPTS:
                    raise BranchError(
                        f"Sessions on the branch '{name}' come back as fast as they are ended.",
                        hint="Stop the application that is connected to it; the branch is as it was.",
                    ) from None
        _drop(server, _trash_name(name))

    def _find(self, server: Connection, name: str) -> dict[str, Any] | None:
        row = server.execute(
            "select shobj_description(oid, 'pg_database') from pg_database where datname = %s", [name]
        ).fetchone()
        return None if row is None else _mark(row[0])

    def _required(self, server: Connection, name: str) -> dict[str, Any]:
        found = self._find(server, name)
        if found is None:
            raise no_such_branch(name, "local")
        return found

    def _require_name(self, name: str, action: str) -> None:
        require_branch_name(name)
        require_unprotected(name, action)
        if name == self._template or name in _SYSTEM:
            raise BranchError(f"'{name}' is the local server's own database.", hint="Choose another name.")

    def _new_mark(self, name: str, expires_at: datetime | None) -> dict[str, Any]:
        return {
            "name": name,
            "parent": self._own_branch,
            "created_at": self._clock().isoformat(),
            "expires_at": None if expires_at is None else expires_at.isoformat(),
        }

    @property
    def _host(self) -> str:
        given = conninfo_to_dict(self._url)
        return f"{given.get('host')}:{given.get('port')}"

    def _branch(self, name: str, mark: dict[str, Any], size_bytes: int | None = None) -> Branch:
        created, expires = mark.get("created_at"), mark.get("expires_at")
        return Branch(
            name=name,
            parent=str(mark.get("parent", "")),
            created_at=datetime.fromisoformat(created) if created else None,
            expires_at=datetime.fromisoformat(expires) if expires else None,
            size_bytes=size_bytes,
            host=self._host,
        )


def database_url(url: str, name: str) -> str:
    """Return the URL with another database's name, in the form of a URL (not of key=value words) for other tools."""
    from urllib.parse import quote, urlsplit, urlunsplit

    parts = urlsplit(url)
    return urlunsplit(parts._replace(path="/" + quote(name, safe="")))


def _copy_name(name: str) -> str:
    return f"penstock_copy_{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _trash_name(name: str) -> str:
    return f"penstock_trash_{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _mark(comment: str | None) -> dict[str, Any] | None:
    """Return what a branch's comment says; None for any other comment."""
    try:
        found = json.loads(comment or "")
    except ValueError:
        return None
    mark = found.get(_MARK) if isinstance(found, dict) else None
    return mark if isinstance(mark, dict) else None


def _comment(server: Connection, database: str, mark: dict[str, Any]) -> None:
    server.execute(
        sql.SQL("comment on database {} is {}").format(
            sql.Identifier(database), sql.Literal(json.dumps({_MARK: mark}))
        )
    )


def _exists(server: Connection, database: str) -> bool:
    found = server.execute("select 1 from pg_database where datname = %s", [database]).fetchone()
    return found is not None


def _rename(server: Connection, database: str, name: str) -> None:
    server.execute(
        sql.SQL("alter database {} rename to {}").format(sql.Identifier(database), sql.Identifier(name))
    )


def _drop(server: Connection, database: str) -> None:
    server.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(database)))
