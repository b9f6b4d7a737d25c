"""Who is told of what, run by run: a failure once, a recovery once, whatever breaks meanwhile; and never a secret."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sync_manifest import write_manifest
from sync_receivers import MailServer, WebhookServer, mail_server, webhook_server

from penstock.commands import sync as commands
from penstock.commands import sync_runs
from penstock.connections import Connections
from penstock.environments import Environment
from penstock.errors import NotifyError, PenstockError, PlanError, SettingsError, SyncBusyError, SyncError
from penstock.notify import wanted
from penstock.notify.message import WHOLE_RUN, Outcome
from penstock.notify.notifier import after_run, outcomes_of
from penstock.settings import Settings
from penstock.sync import run as run_module
from penstock.sync.declaration import Declaration
from penstock.sync.postgres import Limits
from penstock.sync.report import SyncReport

pytestmark = pytest.mark.stack

JANUARY, FEBRUARY = (2025 - 1970) * 12, (2025 - 1970) * 12 + 1
TOKEN = "T0K3N-of-the-channel"
MAIL_PASSWORD = "mail-s3cret"


def rows(count: int = 10, *, month: int = 1) -> list[dict[str, Any]]:
    return [
        {
            "restaurant_id": i,
            "inventory_item_id": 7,
            "business_date": date(2025, month, 1),
            "state": "CA",
            "y_50": 1.5,
        }
        for i in range(count)
    ]


def query(lake: Connections, statement: str) -> list[Any]:
    with psycopg.connect(lake.database_url) as connection:
        return connection.execute(statement.encode()).fetchall()


@pytest.fixture(autouse=True)
def _own_marts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' lake databases are named after no environment."""
    monkeypatch.setattr(Environment, "require_own_marts", lambda *_: None)


@pytest.fixture
def hook() -> Iterator[WebhookServer]:
    with webhook_server() as server:
        yield server


@pytest.fixture
def settings(hook: WebhookServer, tmp_path: Path) -> Settings:
    return Settings(
        notify_webhook=hook.url(f"/services/{TOKEN}"), state_dir=tmp_path / "state", notify_seconds=10
    )


@pytest.fixture
def manifest(declared: Declaration, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr("penstock.transform.dbt.target_path", lambda _: tmp_path)
    return write_manifest(tmp_path, [declared])


@pytest.fixture
def broken(lake: Connections, forecast: Any, manifest: Path) -> int:
    """A mart that is synced, and then broken by two rows of one key; returns the snapshot that was good."""
    forecast.add(rows(), JANUARY)
    good: int = forecast.commit()
    commands.run_sync(lake, Settings())
    forecast.add([*rows(1, month=2), *rows(1, month=2)], FEBRUARY)
    forecast.commit()
    return good


def run(lake: Connections, settings: Settings) -> list[PenstockError | None]:
    return [report.error for report in commands.run_sync(lake, settings)]


# -- once a change of state ----------------------------------------------------------------------------------------------


def test_failure_is_told_once_and_recovery_once(
    lake: Connections, forecast: Any, broken: int, settings: Settings, hook: WebhookServer
) -> None:
    (error,) = run(lake, settings)
    assert error is not None
    assert hook.subjects == ["[penstock local] sync failed: public.forecast_data"]
    section = hook.received[0]["blocks"][1]["text"]["text"]
    assert error.message in section
    assert error.hint in section
    assert "fct_forecast: failed at " in section

    run(lake, settings)
    assert len(hook.received) == 1

    forecast.rollback(broken)
    assert run(lake, settings) == [None]
    assert hook.subjects[1:] == ["[penstock local] sync recovered: public.forecast_data"]
    assert error.message in hook.received[1]["blocks"][1]["text"]["text"]

    run(lake, settings)
    assert len(hook.received) == 2
    assert query(lake, "select count(*) from penstock.sync_notices") == [(0,)]
    assert not (settings.state_dir).exists()


def test_failure_on_another_machine_is_not_told_again(
    lake: Connections, broken: int, settings: Settings, hook: WebhookServer, tmp_path: Path
) -> None:
    run(lake, settings)
    run(lake, replace_settings(settings, state_dir=tmp_path / "another"))
    assert len(hook.received) == 1


def test_failure_is_told_again_after_the_hours_that_are_set(
    lake: Connections, broken: int, settings: Settings, hook: WebhookServer
) -> None:
    repeating = replace_settings(settings, notify_repeat_hours=4)
    run(lake, repeating)
    run(lake, repeating)
    assert len(hook.received) == 1
    with psycopg.connect(lake.database_url) as connection:
        connection.execute(
            "update penstock.sync_notices set since = since - interval '5 h', told_at = told_at - interval '5 h'"
        )
    run(lake, repeating)
    run(lake, repeating)
    assert hook.subjects[1:] == ["[penstock local] sync still failing: public.forecast_data"]
    assert "failing for 5 h" in hook.received[1]["blocks"][1]["text"]["text"]


def test_one_message_a_run_lists_all_tables(
    lake: Connections, forecast: Any, broken: int, declared: Declaration, settings: Settings, hook: WebhookServer,
    manifest: Path, lake_writer: Any,
) -> None:  # fmt: skip
    fine = lake_writer(lake, declared.lake_database, "fct_other")
    fine.add(rows(1), JANUARY)
    fine.commit()
    write_manifest(
        manifest.parent,
        [
            declared,
            replace(declared, lake_table="fct_other", table="other_data"),
            replace(declared, lake_table="fct_missing", table="missing_data"),
        ],
    )
    errors = run(lake, settings)
    assert [error is None for error in errors] == [False, False, True]  # by model name
    assert hook.subjects == ["[penstock local] sync failed: public.forecast_data, public.missing_data"]
    texts = [block["text"]["text"] for block in hook.received[0]["blocks"][1:-1]]
    assert [text.split(",")[0] for text in texts] == [
        "*public.forecast_data",
        "*public.missing_data",
        "*public.other_data",
    ]
    assert texts[2].endswith("synced, 1 row written*")


def test_runs_that_fail_together_tell_once(
    lake: Connections, broken: int, settings: Settings, hook: WebhookServer
) -> None:
    """The shards of a table, or schedules that overlap."""
    run(lake, settings)
    with psycopg.connect(lake.database_url) as connection:
        connection.execute("delete from penstock.sync_notices")
    hook.received.clear()
    hook.delay = 0.3
    failed = [Outcome("public.forecast_data", error="broken")]
    with ThreadPoolExecutor(4) as pool:
        sent = list(pool.map(lambda _: after_run(settings, lake, failed, print), range(4)))
    assert sorted(len(item) for item in sent) == [0, 0, 0, 1]
    assert len(hook.received) == 1


# -- what cannot be told -------------------------------------------------------------------------------------------------


def test_channel_that_refuses_is_a_warning_and_tried_at_the_next_run(
    lake: Connections,
    broken: int,
    settings: Settings,
    hook: WebhookServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hook.status, hook.body = 500, b"rollup_error"
    run(lake, settings)
    said = capsys.readouterr().err
    assert "Not notified: webhook at 127.0.0.1 answered 500: rollup_error." in said
    assert query(lake, "select count(*) from penstock.sync_notices") == [(0,)]

    hook.status = 200
    run(lake, settings)
    assert hook.subjects == ["[penstock local] sync failed: public.forecast_data"]


def test_channel_that_hangs_or_cannot_be_used_does_not_fail_a_sync(
    lake: Connections, forecast: Any, broken: int, settings: Settings, hook: WebhookServer,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run(lake, settings)
    hook.hangs = True
    forecast.rollback(broken)
    snapshot = "select snapshot_id from penstock.sync_state"
    assert run(lake, replace_settings(settings, notify_seconds=0.3)) == [None]
    assert "Not notified: webhook at 127.0.0.1" in capsys.readouterr().err
    assert query(lake, snapshot) == [(broken,)]

    forecast.add(rows(2, month=3), FEBRUARY + 1)
    latest = forecast.commit()
    unusable = Settings(notify_email_to="ops@example.com", smtp_url="nonsense", state_dir=settings.state_dir)
    assert run(lake, unusable) == [None]
    assert "Not notified: PENSTOCK_SMTP_URL" in capsys.readouterr().err
    assert query(lake, snapshot) == [(latest,)]


def test_postgres_that_is_down_is_told_once_from_a_file(
    lake: Connections, forecast: Any, manifest: Path, settings: Settings, hook: WebhookServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    forecast.add(rows(), JANUARY)
    forecast.commit()
    monkeypatch.setattr("penstock.sync.postgres.Limits", _impatient)
    down = replace(lake, database_url=make_conninfo(lake.database_url, host="127.0.0.1", port=9))
    for _ in range(2):
        (error,) = run(down, settings)
        assert error is not None
        assert "Postgres cannot be reached" in error.message
    assert hook.subjects == ["[penstock local] sync failed: public.forecast_data"]
    (remembered,) = settings.state_dir.iterdir()
    assert json.loads(remembered.read_text())["public.forecast_data"]["error"] == error.message

    assert run(lake, settings) == [None]
    assert hook.subjects[1:] == ["[penstock local] sync recovered: public.forecast_data"]
    assert list(settings.state_dir.iterdir()) == []
    run(lake, settings)
    assert len(hook.received) == 2


def _impatient(**given: Any) -> Limits:
    return Limits(**given, connect_seconds=0)


def test_file_that_was_cut_off_is_as_good_as_none(
    lake: Connections, broken: int, settings: Settings, hook: WebhookServer
) -> None:
    settings.state_dir.mkdir()
    (settings.state_dir / "notices-analytics_local.json").write_text('{"public.forecast_data": {"err')
    run(lake, settings)
    assert len(hook.received) == 1


def test_run_that_came_to_no_table_is_told_as_a_whole(
    lake: Connections, forecast: Any, manifest: Path, settings: Settings, hook: WebhookServer
) -> None:
    forecast.add(rows(), JANUARY)
    forecast.commit()
    content = manifest.read_text()
    manifest.unlink()
    for _ in range(2):
        with pytest.raises(PlanError, match="manifest"):
            commands.run_sync(lake, settings)
    manifest.write_text(content)
    run(lake, settings)
    run(lake, settings)
    assert hook.subjects == [
        f"[penstock local] sync failed: {WHOLE_RUN}",
        f"[penstock local] sync recovered: {WHOLE_RUN}",
    ]
    with pytest.raises(PlanError):
        commands.run_sync(lake, settings, select="fct_typo")
    assert len(hook.received) == 2


def test_killed_run_is_told_as_the_next_begins_and_that_one_is_the_recovery(
    lake: Connections, forecast: Any, manifest: Path, settings: Settings, hook: WebhookServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    forecast.add(rows(), JANUARY)
    forecast.commit()
    assert run(lake, settings) == [None]
    forecast.add(rows(2, month=2), FEBRUARY)
    forecast.commit()
    with psycopg.connect(lake.database_url) as connection:
        connection.execute(
            "insert into penstock.sync_attempts (token, target, lake, backend_pid, host, process, started_at)"
            " values (gen_random_uuid(), 'public.forecast_data', 'l', 2147483647, 'worker-1', 7, now())"
        )

    def killed_too(*_: Any, **__: Any) -> list[SyncReport]:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(run_module, "sync_tables", killed_too)
        for _ in range(2):
            with pytest.raises(SystemExit):
                commands.run_sync(lake, settings)
    assert hook.subjects == ["[penstock local] sync failed: public.forecast_data"]
    assert (
        "The run on worker-1 (process 7) ended without a record"
        in hook.received[0]["blocks"][1]["text"]["text"]
    )

    assert run(lake, settings) == [None]
    assert hook.subjects[1:] == ["[penstock local] sync recovered: public.forecast_data"]


def test_busy_and_interrupted_tables_are_neither_failure_nor_success() -> None:
    from penstock.errors import SyncInterruptedError

    reports = [
        SyncReport("public.busy", "l", error=SyncBusyError("busy")),
        SyncReport("public.stopped", "l", error=SyncInterruptedError("stopped", exit_code=130)),
        SyncReport("public.broken", "l", error=SyncError("broken")),
        SyncReport("public.fine", "l"),
    ]
    assert [(outcome.table, outcome.error) for outcome in outcomes_of(reports)] == [
        (WHOLE_RUN, ""),
        ("public.broken", "broken"),
        ("public.fine", ""),
    ]


def test_without_a_channel_nothing_of_it_is_imported() -> None:
    assert not wanted(Settings())
    script = (
        "import sys; import penstock.commands.sync as s; from penstock.settings import Settings;"
        "s._notify(Settings(), None); "
        "sys.exit(any(name in sys.modules for name in ('smtplib', 'urllib.request', 'penstock.notify.notifier')))"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


# -- no secret -----------------------------------------------------------------------------------------------------------


def test_no_secret_is_in_any_message_row_file_or_output(
    lake: Connections, forecast: Any, broken: int, hook: WebhookServer, tmp_path: Path,
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """Not even when an error is made of them, and the servers repeat what they were sent."""
    caplog.set_level("DEBUG")
    lake = replace(lake, secret_key="aws-S3CRET-key")
    hook_url = hook.url(f"/services/{TOKEN}")
    with mail_server(MailServer(users={"ops": MAIL_PASSWORD})) as server:
        settings = Settings(
            notify_webhook=hook_url,
            notify_email_to="ops@example.com",
            smtp_url=server.url(f"ops:{MAIL_PASSWORD}"),
            state_dir=tmp_path / "state",
        )
        secrets = [
            str(conninfo_to_dict(lake.database_url)["password"]),
            TOKEN,
            MAIL_PASSWORD,
            "aws-S3CRET-key",
        ]

        def sync_tables(*_: Any, **__: Any) -> list[SyncReport]:
            error = SyncError(f"{lake.database_url} {settings!r} {lake!r} {' '.join(secrets)}", hint=hook_url)
            return [SyncReport("public.forecast_data", "l", error=error)]

        with monkeypatch.context() as patched:
            patched.setattr(run_module, "sync_tables", sync_tables)
            run(lake, settings)  # told by both
            assert (len(hook.received), len(server.letters)) == (1, 1)
            told = json.dumps(hook.received) + server.letters[0].as_string()
            hook.status, hook.body = 403, hook_url.encode()
            server.users = {}
            forget = "delete from penstock.sync_notices"
            with psycopg.connect(lake.database_url) as connection:
                connection.execute(forget.encode())
            run(lake, settings)  # by none
            with pytest.raises(NotifyError) as refused:
                sync_runs.notify_test(lake, settings)
        kept = str(query(lake, "select row_to_json(n) from penstock.sync_notices n"))
        kept += str(query(lake, "select row_to_json(r) from penstock.sync_runs r"))
        kept += str(query(lake, "select row_to_json(s) from forecast_sync_status s"))
        kept += "".join(path.read_text() for path in tmp_path.rglob("*.json"))
        said = (
            "".join(capfd.readouterr()) + caplog.text + str(vars(refused.value)) + repr(settings) + repr(lake)
        )

    assert "***" in told
    assert "answered 403" in said
    assert "login was refused" in said
    for secret in secrets:
        assert secret not in told
        assert secret not in kept
        assert secret not in said


# -- the trial -----------------------------------------------------------------------------------------------------------


def test_notify_test_sends_to_each_channel_and_says_so(
    lake: Connections, hook: WebhookServer, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with mail_server(MailServer()) as server:
        both = replace_settings(settings, notify_email_to="ops@example.com", smtp_url=server.url())
        sync_runs.notify_test(lake, both)
        assert [letter["Subject"] for letter in server.letters] == ["[penstock local] test message"]
    assert hook.subjects == ["[penstock local] test message"]
    said = capsys.readouterr()
    assert said.out.count("taken") == 2
    assert "2 channels took the message" in said.err


def test_notify_test_without_a_channel_says_what_to_set(lake: Connections) -> None:
    with pytest.raises(SettingsError, match="No channel is set up") as caught:
        sync_runs.notify_test(lake, Settings())
    assert "PENSTOCK_NOTIFY_WEBHOOK" in caught.value.hint


def replace_settings(settings: Settings, **changed: Any) -> Settings:
    given = {
        name: getattr(settings, name)
        for name in ("notify_webhook", "notify_email_to", "smtp_url", "state_dir", "notify_seconds")
    }
    return Settings(**(given | changed))
