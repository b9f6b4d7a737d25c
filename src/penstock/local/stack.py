"""The local stack as a whole: starts what does not run, stops it, tells of it, deletes it.

A part runs when its process is ours, was started as it would be started now, and answers. Everything else is started (again)
under the state folder's lock. Ports are kept from one start to the next as long as nobody else has taken them.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from penstock.connections import Connections
from penstock.environments import environment
from penstock.errors import StackError
from penstock.local import process, state
from penstock.local.athena import AthenaLocal
from penstock.local.ministack import ACCESS_KEY, SECRET_KEY, Ministack
from penstock.local.part import Part, PartStatus, size_bytes
from penstock.local.postgres import Postgres
from penstock.local.process import HOST

# In one group the later part needs the earlier one's address; the groups start and stop side by side.
GROUPS = (("ministack", "athena_local"), ("postgres",))
ALL_PARTS = tuple(name for group in GROUPS for name in group)
DEFAULT_REGION = "us-east-2"
START_ATTEMPTS = 3  # a free port may be taken by someone else between choosing it and listening on it

# PostgreSQL's words when the sessions of a killed server have not yet noticed; they end by themselves
SESSIONS_LEFT = "pre-existing shared memory block"

Report = Callable[[str], None]


def _silent(_: str) -> None:
    return None


class LocalStack:
    """The stack whose data, logs, ports and password lie in one folder."""

    def __init__(self, state_dir: Path, region: str = DEFAULT_REGION) -> None:
        self.folder = Path(state_dir).expanduser().resolve()
        self.region = region
        self._guard = threading.Lock()  # parts start in threads and share the state file
        self._report: Report = _silent

    # what callers use

    def up(self, report: Report | None = None, parts: Sequence[str] = ALL_PARTS) -> Connections:
        """Start what does not run and wait until it answers; return how to reach it.

        Raises: StackError naming the part, its log file and the log's last lines.
        """
        self._report = report or _silent
        remembered = state.load(self.folder)
        if not self._missing(remembered, parts):
            return self._connect(remembered, parts)
        with state.locked(self.folder, self._report):
            remembered = state.load(self.folder)
            self._stop_moved(remembered)
            self._in_parallel(lambda group: self._start_all([n for n in group if n in parts], remembered))
            return self._connect(remembered, parts)

    def down(self, report: Report | None = None) -> None:
        """Stop every part cleanly; data, ports and password stay."""
        self._report = report or _silent
        if not self.folder.is_dir():
            return
        with state.locked(self.folder, self._report):
            self._stop_all()

    def status(self) -> list[PartStatus]:
        """Return each part as it is now; starts and changes nothing."""
        remembered = state.load(self.folder)
        return [self._part_status(name, remembered) for name in ALL_PARTS]

    def connections(self) -> Connections:
        """Return how to reach the running stack; raises StackError when a part does not run."""
        remembered = state.load(self.folder)
        missing = self._missing(remembered, ALL_PARTS)
        if missing:
            raise StackError(
                f"The local stack does not run: {', '.join(missing)}.", hint="Start it: invoke up"
            )
        return self._connect(remembered, ALL_PARTS)

    def reset(self, report: Report | None = None) -> None:
        """Stop the stack and delete its data, logs and password: what it made itself, and nothing else of the folder."""
        self._report = report or _silent
        if not self.folder.is_dir():
            return
        with state.locked(self.folder, self._report):
            remembered = state.load(self.folder)
            self._stop_all()
            Postgres(self.folder, self._report).remove()
            for name in ("ministack", "athena_local"):
                for path in self._part(name, remembered).data:
                    shutil.rmtree(path, ignore_errors=True)
            shutil.rmtree(self._log("any").parent, ignore_errors=True)
            for name in (state.STATE_FILE, state.PASSWORD_FILE, state.LOCK_FILE):
                (self.folder / name).unlink(missing_ok=True)
        with suppress(OSError):  # something of the user's own lies there: then the folder stays
            self.folder.rmdir()

    # one part

    def _part(self, name: str, remembered: state.State) -> Part:
        if name == "ministack":
            return Ministack(self.folder, self.region)
        if name == "athena_local":
            s3 = remembered.part("ministack")
            return AthenaLocal(self.folder, f"http://{HOST}:{s3.port}", self.region)
        return Postgres(self.folder, self._report)

    def _log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def _missing(self, remembered: state.State, parts: Sequence[str]) -> list[str]:
        """Return the parts that do not run as they should."""
        return [
            name
            for name in ALL_PARTS
            if name in parts and not self._runs(self._part(name, remembered), remembered.part(name))
        ]

    def _runs(self, part: Part, record: state.PartRecord) -> bool:
        if not record.ready:
            return False
        return self._is_wanted(part, record) and self._is_set_up(part, record)

    def _is_set_up(self, part: Part, record: state.PartRecord) -> bool:
        """Return whether what callers rely on is still there: someone may have deleted a bucket by hand."""
        if part.name != "ministack":
            return True
        names = environment("local")
        buckets = (names.lake_bucket, names.results_bucket)
        return all(process.http_status(record.port, f"/{bucket}", "HEAD") == 200 for bucket in buckets)

    def _start_all(self, names: Sequence[str], remembered: state.State) -> None:
        for name in names:
            part = self._part(name, remembered)
            if not self._runs(part, remembered.part(name)):
                self._start(part, remembered)

    def _start(self, part: Part, remembered: state.State) -> None:
        record = remembered.part(part.name)
        if not self._is_wanted(part, record):
            self._stop_strays(part)
            part.prepare()
            self._launch(part, record, remembered)
        self._set_up(part, record)
        record.ready = True
        self._save(remembered)
        self._report(f"{part.name} answers at {part.address(record.port)}")

    def _is_wanted(self, part: Part, record: state.PartRecord) -> bool:
        """Return whether the process that runs may stay and only its set-up is to be repeated."""
        wanted = part.command(record.port).argv[1:] == tuple(record.argv[1:])
        return wanted and process.is_running(record.pid, record.argv) and part.answers(record.port)

    def _launch(self, part: Part, record: state.PartRecord, remembered: state.State) -> None:
        log = self._log(part.name)
        for attempt in range(1, START_ATTEMPTS + 1):
            with self._guard:
                others = {other.port for name, other in remembered.parts.items() if name != part.name}
                record.port = process.choose_port(record.port, others)
            command = part.command(record.port)
            start = log.stat().st_size if log.exists() else 0
            record.pid, record.argv, record.ready = (
                process.spawn(command, log, self.folder),
                list(command.argv),
                False,
            )
            self._save(remembered)
            if self._await(part, record):
                return
            died = not process.stop(record.pid, command)
            if died and attempt < START_ATTEMPTS and self._may_pass(record, process.log_tail(log, start)):
                continue
            raise StackError(
                f"{part.name} {'ended at once' if died else f'did not answer in {part.start_seconds:.0f} s'}"
                f" (port {record.port}). The last lines of {log}:\n{process.log_tail(log, start)}",
                hint="`invoke down` and `invoke up` try again; `invoke reset` deletes the local data and starts afresh.",
            )

    def _may_pass(self, record: state.PartRecord, log_tail: str) -> bool:
        """Return whether another attempt may succeed: with another port, or once a killed server's sessions are gone."""
        if SESSIONS_LEFT in log_tail:
            time.sleep(2)
            return True
        return not process.is_free(record.port)

    def _await(self, part: Part, record: state.PartRecord) -> bool:
        """Wait until the part answers, and it is our process that listens there; False when it ended or time ran out."""
        alive = True

        def settled() -> bool:
            nonlocal alive
            alive = process.is_running(record.pid, record.argv)
            return not alive or part.answers(record.port)

        answered = process.wait_until(settled, part.start_seconds)
        return answered and alive and process.is_listening(record.pid, record.port)

    def _set_up(self, part: Part, record: state.PartRecord) -> None:
        if isinstance(part, Postgres):
            part.make_database(record.port)
        elif isinstance(part, Ministack):
            from penstock.lake.buckets import ensure_buckets

            ensure_buckets(self._connect(state.State({part.name: record}), [part.name]))

    # all of them

    def _stop_all(self) -> None:
        remembered = state.load(self.folder)
        self._stop_moved(remembered)

        def stop_group(group: Sequence[str]) -> None:
            for name in reversed(group):
                self._stop_strays(self._part(name, remembered))

        self._in_parallel(stop_group)
        for record in remembered.parts.values():
            record.pid, record.ready = 0, False
        self._save(remembered)

    def _in_parallel(self, action: Callable[[Sequence[str]], None]) -> None:
        """Run the action for each group; waits for all of them before it raises the first one's error."""
        with ThreadPoolExecutor(max_workers=len(GROUPS)) as pool:
            futures = [pool.submit(action, group) for group in GROUPS]
        for future in futures:
            future.result()

    def _stop_moved(self, remembered: state.State) -> None:
        """Stop what was started under a path that is gone: the folder was moved while the stack ran.

        When the old path is still there this folder is a copy, and what runs belongs to the original.
        """
        if remembered.folder in ("", str(self.folder)) or Path(remembered.folder).exists():
            return
        for name, record in remembered.parts.items():
            template = self._part(name, remembered).command(record.port)
            moved = replace(template, argv=tuple(record.argv))
            if process.stop(record.pid, moved):
                self._report(f"{name} stopped: it ran under the old path {remembered.folder}")

    def _stop_strays(self, part: Part) -> None:
        """Stop every process of this part and state folder, remembered or not: two on one folder would spoil the data."""
        command = part.command(0)
        for pid, argv in process.find(part.marker):
            process.stop(pid, replace(command, argv=argv))
            self._report(f"{part.name} stopped (pid {pid})")

    def _part_status(self, name: str, remembered: state.State) -> PartStatus:
        part, record = self._part(name, remembered), remembered.part(name)
        running = process.is_running(record.pid, record.argv) and part.answers(record.port)
        return PartStatus(
            name=name,
            running=running,
            address=part.address(record.port) if record.port else "",
            pid=record.pid if running else 0,
            version=part.version(),
            data_bytes=size_bytes(part.data),
            log=self._log(name),
        )

    def _connect(self, remembered: state.State, parts: Sequence[str]) -> Connections:
        urls = {
            n: self._part(n, remembered).address(remembered.part(n).port) for n in parts if n != "postgres"
        }
        database = (
            Postgres(self.folder, self._report).url(remembered.part("postgres").port)
            if "postgres" in parts
            else ""
        )
        services = {"s3": "ministack", "athena": "athena_local", "glue": "athena_local"}
        return Connections(
            environment=environment("local"),
            region=self.region,
            database_url=database,
            endpoint_urls={service: urls[part] for service, part in services.items() if part in urls},
            default_endpoint_url=urls.get("ministack", ""),
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
        )

    def _save(self, remembered: state.State) -> None:
        with self._guard:
            state.save(self.folder, remembered)
