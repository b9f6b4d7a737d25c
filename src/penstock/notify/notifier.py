"""Around a sync run: tells each channel what changed, once, and never fails or holds up the sync for it.

Channels are spoken to side by side, and left to themselves when they have not answered within PENSTOCK_NOTIFY_SECONDS.
What was told is remembered when one channel at least has taken it; else the next run tries again.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg

from penstock.errors import (
    NotifyError,
    PenstockError,
    SettingsError,
    SyncBusyError,
    SyncInterruptedError,
)
from penstock.notify.message import (
    WHOLE_RUN,
    Message,
    News,
    Outcome,
    Told,
    message,
    news,
    trial_message,
    utc_now,
)
from penstock.notify.secrets import Secrets
from penstock.notify.told import ToldBook, connected
from penstock.sync.runs import KILLED_HINT, killed_runs, killed_text

if TYPE_CHECKING:
    from penstock.connections import Connections
    from penstock.notify.channels import Channel
    from penstock.settings import Settings
    from penstock.sync.report import SyncReport

Warn = Callable[[str], None]


@dataclass(frozen=True)
class Sent:
    """How a channel took a message: `error` empty where it did."""

    channel: str
    error: str = ""
    hint: str = ""


def channels(
    settings: Settings, connections: Connections, secrets: Secrets
) -> tuple[list[Channel], list[Sent]]:
    """Return the channels that are set up, and what is wrong with those that cannot be used.

    URLs that are keys are read from where they lie, and told to `secrets`.
    """
    from penstock.credentials import stored
    from penstock.notify.channels import (
        mail,
        topic,
        webhook,
    )  # smtplib and its kin: a run without news needs none of them

    def url(setting: str, value: str, place: str) -> str:
        found = value
        if place:
            if value:
                raise SettingsError(f"{setting} and {setting}_FROM are both set.", hint="Unset one of them.")
            found = stored(f"{setting}_FROM", place, connections.client).value()
        secrets.add(found)
        return found

    def by_webhook() -> Channel:
        return webhook(url("PENSTOCK_NOTIFY_WEBHOOK", settings.notify_webhook, settings.notify_webhook_from))

    def by_mail() -> Channel:
        to = [address.strip() for address in settings.notify_email_to.split(",") if address.strip()]
        server = url("PENSTOCK_SMTP_URL", settings.smtp_url, settings.smtp_url_from)
        return mail(server, to, settings.notify_email_from or to[0])

    wanted: list[tuple[str, object, Callable[[], Channel]]] = [
        ("webhook", settings.notify_webhook or settings.notify_webhook_from, by_webhook),
        ("SNS topic", settings.notify_sns_topic, lambda: topic(settings.notify_sns_topic, connections)),
        ("e-mail", settings.notify_email_to, by_mail),
    ]
    found, unusable = [], []
    for name, setting, made in wanted:
        if setting:
            try:
                found.append(made())
            except PenstockError as error:
                unusable.append(Sent(name, error.message, error.hint))
    return found, unusable


def before_run(
    settings: Settings, connections: Connections, targets: Sequence[str], warn: Warn
) -> list[Sent]:
    """Tell of runs that were killed, which could not tell it themselves, before this one may be killed too.

    Returns and raises as `after_run` does; the run that ends well is then the recovery.
    """
    try:
        with connected(connections) as connection:
            killed = killed_runs(connection, targets)
    except (PenstockError, psycopg.Error):
        return []  # the run itself will meet it, and tell
    outcomes = {
        target: Outcome(target, error=killed_text(host, process), hint=KILLED_HINT)
        for target, host, process in killed
    }
    return after_run(settings, connections, list(outcomes.values()), warn) if outcomes else []


def after_run(
    settings: Settings, connections: Connections, outcomes: Sequence[Outcome], warn: Warn
) -> list[Sent]:
    """Tell what the run changed; returns how each channel took it, none where nothing changed.

    Raises nothing that was foreseen: `warn` is given a line for each thing that could not be told.
    """
    secrets = Secrets(connections)
    try:
        book = ToldBook(connections, settings.state_dir)
        if not _news(settings, outcomes, book.read()):
            return []
        with book.held():
            sent = _tell(settings, connections, outcomes, book, secrets)
    except (PenstockError, psycopg.Error, OSError) as error:
        warn(secrets.removed_from(f"Not notified: {error}"))
        return []
    for item in sent:
        if item.error:
            warn(secrets.removed_from(f"Not notified: {item.error}"))
    return sent


def _news(settings: Settings, outcomes: Sequence[Outcome], told: dict[str, Told]) -> News:
    hours = settings.notify_repeat_hours
    return news(outcomes, told, now=utc_now(), repeat=timedelta(hours=hours) if hours > 0 else None)


def _tell(
    settings: Settings,
    connections: Connections,
    outcomes: Sequence[Outcome],
    book: ToldBook,
    secrets: Secrets,
) -> list[Sent]:
    """Send what is news, unless another run has told it meanwhile, and keep it in the book once a channel has taken it."""
    told, now = book.read(), utc_now()
    happened = _news(settings, outcomes, told)
    if not happened:
        return []
    spoken, sent = channels(settings, connections, secrets)
    cleaned = [secrets.removed_from_outcome(outcome) for outcome in outcomes]
    happened = _news(settings, cleaned, told)
    place, host = connections.environment.target, socket.gethostname()
    words = message(place, cleaned, happened, told, now=now, host=host)
    sent += send(spoken, words, settings.notify_seconds)
    if any(not item.error for item in sent):
        known = {
            outcome.table: Told(
                outcome.error, told[outcome.table].since if outcome.table in told else now, now
            )
            for outcome in (*happened.failed, *happened.still)
        }
        book.write(known, [outcome.table for outcome in happened.recovered])
    return sent


def outcomes_of(reports: Sequence[SyncReport]) -> list[Outcome]:
    """Return how the tables did, and that the run came to them at all.

    Left out, for they are neither a failure nor a success: tables that another sync holds, and those that were interrupted.
    """
    passing = (SyncBusyError, SyncInterruptedError)
    return [
        Outcome(WHOLE_RUN),
        *(Outcome.of(report) for report in reports if not isinstance(report.error, passing)),
    ]


def try_channels(settings: Settings, connections: Connections) -> list[Sent]:
    """Send a test message to each channel; returns how each took it."""
    secrets = Secrets(connections)
    spoken, unusable = channels(settings, connections, secrets)
    words = trial_message(connections.environment.target, now=utc_now(), host=socket.gethostname())
    return [
        Sent(item.channel, secrets.removed_from(item.error), item.hint)
        for item in (*unusable, *send(spoken, words, settings.notify_seconds))
    ]


def send(spoken: Sequence[Channel], words: Message, seconds: float) -> list[Sent]:
    """Hand the message to all channels at once; one that takes longer than `seconds` is given up, and said so."""
    answers: queue.Queue[Sent] = queue.Queue()

    def one(channel: Channel) -> None:
        try:
            channel.send(words, seconds)
        except NotifyError as error:
            answers.put(Sent(channel.name, error.message, error.hint))
        except Exception as error:  # a notification must not end a sync, whatever is wrong with it
            answers.put(Sent(channel.name, f"{channel.name} failed: {type(error).__name__}: {error}"))
        else:
            answers.put(Sent(channel.name))

    for channel in spoken:
        # daemons: a server that never answers must not keep the process
        threading.Thread(target=one, args=(channel,), name=f"notify {channel.name}", daemon=True).start()
    found: dict[str, Sent] = {}
    until = time.monotonic() + seconds
    while len(found) < len(spoken):
        try:
            answer = answers.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            break
        found[answer.channel] = answer
    return [
        found.get(channel.name, Sent(channel.name, f"{channel.name} did not answer within {seconds:g} s."))
        for channel in spoken
    ]
