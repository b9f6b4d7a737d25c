"""The channels against servers that take their messages: what arrives, what is refused, and that no secret is told."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sync_receivers import MailServer, WebhookServer, certificate, mail_server, webhook_server

from penstock.connections import Connections
from penstock.environments import environment
from penstock.errors import NotifyError, SettingsError
from penstock.notify.channels import mail, topic, webhook
from penstock.notify.message import (
    MOST_SECTIONS,
    SECTION_CHARACTERS,
    WHOLE_RUN,
    Message,
    Outcome,
    Told,
    message,
    news,
    trial_message,
)
from penstock.notify.notifier import channels, send
from penstock.notify.secrets import Secrets
from penstock.settings import Settings

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
TOKEN = "T0K3N-of-the-channel"
PASSWORD = "s3cret p@ss/word"
LOGIN = "ops%40example.com:s3cret%20p%40ss%2Fword"
TRIAL = trial_message("production", now=NOW, host="worker-1")


@pytest.fixture
def hook() -> Iterator[WebhookServer]:
    with webhook_server() as server:
        yield server


# -- what is worth telling -----------------------------------------------------------------------------------------------

GOOD, BAD = Outcome("public.a", "lake.a", rows_written=1), Outcome("public.a", error="broken", hint="mend it")


def told(hours: float = 1.0) -> dict[str, Told]:
    return {"public.a": Told("broken", NOW - timedelta(hours=5), NOW - timedelta(hours=hours))}


@pytest.mark.parametrize(
    ("outcome", "known", "repeat", "found"),
    [
        (GOOD, {}, None, ""),
        (BAD, {}, None, "failed"),
        (BAD, told(), None, ""),
        (GOOD, told(), None, "recovered"),
        (BAD, told(hours=3), timedelta(hours=4), ""),
        (BAD, told(hours=4), timedelta(hours=4), "still"),
    ],
    ids=["good", "fails", "fails on", "recovers", "too early to repeat", "repeated"],
)
def test_news_is_a_change_of_state(
    outcome: Outcome, known: dict[str, Told], repeat: timedelta | None, found: str
) -> None:
    happened = news([outcome], known, now=NOW, repeat=repeat)
    assert {name for name in ("failed", "still", "recovered") if getattr(happened, name)} == (
        {found} if found else set()
    )
    assert bool(happened) == bool(found)


def test_news_of_tables_that_were_not_in_the_run_is_none() -> None:
    """`--select` runs some of them: the others are neither failed nor recovered."""
    assert not news([Outcome("public.b")], told(), now=NOW)


def test_message_lists_every_table_with_what_changed_first() -> None:
    outcomes = [
        Outcome(WHOLE_RUN),
        Outcome("public.fine", "lake.fine", rows_written=1),
        Outcome("public.bad", "lake.bad", error="key <7> & key 8", hint="mend it", step="merge"),
        Outcome("public.back", "lake.back", rows_written=2_000),
    ]
    known = {"public.back": Told("was broken", NOW - timedelta(hours=3, minutes=12), NOW)}
    found = message("production", outcomes, news(outcomes, known, now=NOW), known, now=NOW, host="worker-1")

    assert found.subject == "[penstock production] sync failed: public.bad; recovered: public.back"
    assert found.text == (
        "public.bad, from lake.bad: failed at merge\n"
        "  key <7> & key 8\n"
        "  Next: mend it\n"
        "\n"
        "public.back, from lake.back: works again\n"
        "  It had failed for 3 h 12 min with: was broken\n"
        "  This run wrote 2,000 rows.\n"
        "\n"
        "public.fine, from lake.fine: synced, 1 row written\n"
        "\n"
        "2027-03-01 12:00:00 UTC, from worker-1\n"
    )
    assert [block["type"] for block in found.blocks] == ["header", "section", "section", "section", "context"]
    assert "key &lt;7&gt; &amp; key 8" in found.blocks[1]["text"]["text"]


def test_message_keeps_to_slacks_limits() -> None:
    outcomes = [Outcome(f"public.t{i}", error="<" * 20_000) for i in range(60)]
    found = message("local", outcomes, news(outcomes, {}, now=NOW), {}, now=NOW, host="h")
    assert len(found.blocks) <= 50
    assert len(found.blocks[0]["text"]["text"]) <= 150
    assert all(len(block["text"]["text"]) <= 3_000 for block in found.blocks[1:-1])
    assert SECTION_CHARACTERS < 3_000
    assert len(found.slack["text"]) <= 2_000
    assert f"and {60 - MOST_SECTIONS} more tables" in found.blocks[-1]["elements"][0]["text"]


# -- webhook -------------------------------------------------------------------------------------------------------------


def test_webhook_takes_slacks_json(hook: WebhookServer) -> None:
    webhook(hook.url(f"/services/{TOKEN}")).send(TRIAL, 5)
    assert hook.paths == [f"/services/{TOKEN}"]
    (found,) = hook.received
    assert found["text"] == (
        "[penstock production] test message\n\n"
        "Test\n  This is a test: messages of failing and of recovered syncs arrive here.\n\n"
        "2027-03-01 12:00:00 UTC, from worker-1"
    )
    assert [block["type"] for block in found["blocks"]] == ["header", "section", "context"]


@pytest.mark.parametrize(("status", "said"), [(404, "no_service"), (410, "channel_is_archived"), (500, "")])
def test_webhook_that_refuses_is_named_with_its_answer(hook: WebhookServer, status: int, said: str) -> None:
    hook.status, hook.body = status, said.encode()
    with pytest.raises(NotifyError) as caught:
        webhook(hook.url(f"/services/{TOKEN}")).send(TRIAL, 5)
    assert caught.value.message == f"webhook at 127.0.0.1 answered {status}{f': {said}' if said else ''}."
    assert "PENSTOCK_NOTIFY_WEBHOOK" in caught.value.hint


def test_webhook_that_redirects_is_a_refusal(hook: WebhookServer) -> None:
    """Followed, the POST would become a GET and look delivered."""
    hook.status, hook.location = 302, hook.url("/login")
    with pytest.raises(NotifyError, match="answered 302"):
        webhook(hook.url("/x")).send(TRIAL, 5)
    assert hook.verbs == ["POST"]


def test_webhook_that_hangs_is_given_up(hook: WebhookServer) -> None:
    hook.hangs = True
    with pytest.raises(NotifyError, match="cannot be reached: no answer in time"):
        webhook(hook.url("/x")).send(TRIAL, 0.2)


def test_webhook_nobody_listens_at() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        channel = webhook(f"http://127.0.0.1:{probe.getsockname()[1]}/{TOKEN}")
        with pytest.raises(NotifyError, match="cannot be reached") as caught:
            channel.send(TRIAL, 5)
    assert TOKEN not in caught.value.message + repr(channel) + channel.name


@pytest.mark.parametrize(
    "url",
    [
        f"http://hooks.slack.com/{TOKEN}",
        f"ftp://x/{TOKEN}",
        TOKEN,
        f"https:///{TOKEN}",
        f"https://h:port/{TOKEN}",
    ],
)
def test_webhook_url_that_cannot_be_used_is_refused_without_telling_it(url: str) -> None:
    with pytest.raises(SettingsError, match="PENSTOCK_NOTIFY_WEBHOOK") as caught:
        webhook(url)
    assert TOKEN not in caught.value.message + caught.value.hint


# -- e-mail --------------------------------------------------------------------------------------------------------------


def test_mail_arrives_whole_at_each_address() -> None:
    words = Message("[penstock dev] Größe", "ü\n.\n.a line with a dot\n", ())
    with mail_server(MailServer()) as server:
        mail(server.url(), ["ops@example.com", "lead@example.com"], "penstock@example.com").send(words, 5)
    assert server.recipients == [["ops@example.com", "lead@example.com"]]
    (letter,) = server.letters
    assert letter["Subject"] == "[penstock dev] Größe"
    assert (letter["From"], letter["To"]) == ("penstock@example.com", "ops@example.com, lead@example.com")
    assert letter["Message-ID"].endswith("@example.com>")
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter.get_content().replace("\r\n", "\n").replace("..", ".") == words.text


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_mail_logs_in_under_tls_alone(scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    state = MailServer(
        certificate=trusted, implicit_tls=scheme == "smtps", users={"ops@example.com": PASSWORD}
    )
    with mail_server(state) as server:
        mail(server.url(LOGIN, scheme), ["a@example.com"], "b@example.com").send(TRIAL, 5)
    assert server.logins == [("ops@example.com", True)]
    assert len(server.letters) == 1


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_mail_server_with_a_certificate_nobody_vouches_for_gets_no_password(
    scheme: str, tmp_path: Path
) -> None:
    state = MailServer(certificate=certificate(tmp_path), implicit_tls=scheme == "smtps")
    with mail_server(state) as server, pytest.raises(NotifyError, match=r"(?i)certificate") as caught:
        mail(server.url(LOGIN, scheme), ["a@example.com"], "b@example.com").send(TRIAL, 5)
    assert server.logins == []
    _holds_no_secret(caught.value)


def test_mail_server_without_tls_on_another_machine_gets_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.create_connection
    with mail_server(MailServer(users={"ops@example.com": PASSWORD})) as server:
        monkeypatch.setattr(
            socket,
            "create_connection",
            lambda _, *rest, **named: connect(("127.0.0.1", server.port), *rest, **named),
        )
        with pytest.raises(NotifyError, match="offers no TLS") as caught:
            mail(f"smtp://{LOGIN}@mail.example.com:25", ["a@example.com"], "b@example.com").send(TRIAL, 5)
    assert server.logins == []
    _holds_no_secret(caught.value)


def test_mail_login_that_is_refused_tells_no_password() -> None:
    """The server repeats it in its answer."""
    with mail_server(MailServer()) as server, pytest.raises(NotifyError, match="login was refused") as caught:
        mail(server.url(LOGIN), ["a@example.com"], "b@example.com").send(TRIAL, 5)
    _holds_no_secret(caught.value)


def test_mail_that_some_or_all_addresses_refuse_says_which() -> None:
    with mail_server(MailServer(refused={"gone@example.com"})) as server:
        with pytest.raises(NotifyError, match=r"not taken for gone@example\.com; the others have it"):
            mail(server.url(), ["ops@example.com", "gone@example.com"], "p@example.com").send(TRIAL, 5)
        assert server.recipients == [["ops@example.com"]]
        with pytest.raises(NotifyError, match=r"no recipient was taken: gone@example\.com"):
            mail(server.url(), ["gone@example.com"], "p@example.com").send(TRIAL, 5)


@pytest.mark.parametrize(
    ("url", "to"),
    [
        (f"http://{LOGIN}@mail", "a@example.com"),
        (f"{LOGIN}@mail", "a@example.com"),
        ("", "a@example.com"),
        (f"smtp://{LOGIN}@mail:port", "a@example.com"),
        ("smtp://mail", "nobody"),
        ("smtp://mail", "a@example.com\nBcc: b@example.com"),
        ("smtp://mail", "A <a@example.com>"),
    ],
)
def test_mail_settings_that_cannot_be_used_are_refused_without_telling_them(url: str, to: str) -> None:
    with pytest.raises(SettingsError) as caught:
        mail(url, [to], "penstock@example.com")
    _holds_no_secret(caught.value)


def _holds_no_secret(error: Any) -> None:
    for secret in (PASSWORD, LOGIN, LOGIN.partition(":")[2]):
        assert secret not in f"{error.message} {error.hint} {error!r}"


# -- SNS -----------------------------------------------------------------------------------------------------------------


@pytest.mark.stack
@pytest.mark.parametrize("suffix", ["", ".fifo"])
def test_topic_delivers_to_its_subscribers(stack_without_athena: Connections, suffix: str) -> None:
    sns, sqs = stack_without_athena.client("sns"), stack_without_athena.client("sqs")
    extra = {"FifoTopic": "true"} if suffix else {}
    arn = sns.create_topic(Name=f"penstock-alerts{suffix}", Attributes=extra)["TopicArn"]
    queue = sqs.create_queue(
        QueueName=f"penstock-alerts{suffix}", Attributes={"FifoQueue": "true"} if suffix else {}
    )["QueueUrl"]
    address = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=address)

    topic(arn, stack_without_athena).send(Message("subject – " + "x" * 200, "the text\n", ()), 5)

    (found,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
    body = json.loads(found["Body"])
    assert body["Message"] == "the text\n"
    assert body["Subject"].startswith("subject ? xxx")
    assert len(body["Subject"]) < 100


@pytest.mark.stack
def test_topic_that_is_not_there_is_named(stack_without_athena: Connections) -> None:
    channel = topic("arn:aws:sns:us-east-2:000000000000:nowhere", stack_without_athena)
    with pytest.raises(NotifyError, match="SNS topic nowhere did not take the message"):
        channel.send(TRIAL, 5)


def test_topic_that_is_no_arn_is_refused() -> None:
    with pytest.raises(SettingsError, match="'alerts' is no topic's ARN"):
        topic("alerts", Connections(environment("local"), "us-east-2"))


# -- all of them ---------------------------------------------------------------------------------------------------------


def test_channels_are_those_that_are_set_up() -> None:
    connections = Connections(environment("local"), "us-east-2")
    assert channels(Settings(), connections, Secrets(connections)) == ([], [])
    settings = Settings(
        notify_webhook=f"https://hooks.slack.com/{TOKEN}",
        notify_sns_topic="arn:aws:sns:us-east-2:123456789012:alerts",
        notify_email_to="a@example.com, b@example.com,",
        smtp_url=f"smtp://{LOGIN}@mail.example.com",
    )
    found, unusable = channels(settings, connections, Secrets(connections))
    assert unusable == []
    assert [channel.name for channel in found] == [
        "webhook at hooks.slack.com",
        "SNS topic alerts",
        "e-mail by mail.example.com",
    ]
    for secret in (TOKEN, LOGIN):
        assert secret not in repr(found) + repr(settings)


def test_channel_that_cannot_be_used_leaves_the_others() -> None:
    connections = Connections(environment("local"), "us-east-2")
    settings = Settings(
        notify_webhook=f"https://hooks.slack.com/{TOKEN}",
        notify_sns_topic="alerts",
        notify_email_to="nobody",
        smtp_url=f"smtp://{LOGIN}@mail.example.com",
    )
    found, unusable = channels(settings, connections, Secrets(connections))
    assert [channel.name for channel in found] == ["webhook at hooks.slack.com"]
    assert [(item.channel, bool(item.error)) for item in unusable] == [("SNS topic", True), ("e-mail", True)]
    _holds_no_secret(SettingsError(repr(unusable)))


@pytest.mark.stack
def test_urls_that_are_keys_may_lie_in_ssm_and_secrets_manager(
    stack_without_athena: Connections, hook: WebhookServer
) -> None:
    ssm, manager = (stack_without_athena.client(name) for name in ("ssm", "secretsmanager"))
    ssm.put_parameter(Name="/notify/webhook", Type="SecureString", Value=hook.url(f"/services/{TOKEN}"))
    with mail_server(MailServer(users={"ops@example.com": PASSWORD})) as server:
        manager.create_secret(Name="notify", SecretString=json.dumps({"smtp": server.url(LOGIN)}))
        settings = Settings(
            notify_webhook_from="ssm:/notify/webhook",
            notify_email_to="a@example.com",
            smtp_url_from="secretsmanager:notify#smtp",
        )
        secrets = Secrets(stack_without_athena)
        found, unusable = channels(settings, stack_without_athena, secrets)
        assert unusable == []
        assert [item.error for item in send(found, TRIAL, 10)] == ["", ""]
        assert (len(hook.received), len(server.letters)) == (1, 1)
    for secret in (TOKEN, PASSWORD, LOGIN.partition(":")[2]):
        assert secrets.removed_from(f"so {secret} is") == "so *** is"
    both = Settings(notify_webhook=hook.url("/x"), notify_webhook_from="ssm:/notify/webhook")
    _, (refused,) = channels(both, stack_without_athena, secrets)
    assert refused.error == "PENSTOCK_NOTIFY_WEBHOOK and PENSTOCK_NOTIFY_WEBHOOK_FROM are both set."


def test_send_speaks_to_all_at_once_and_gives_up_who_hangs(hook: WebhookServer) -> None:
    hook.hangs = True
    with webhook_server() as other, mail_server(MailServer()) as server:
        found = send(
            [
                webhook(hook.url("/hangs")),
                webhook(other.url("/x").replace("127.0.0.1", "localhost")),
                mail(server.url(), ["a@example.com"], "b@example.com"),
            ],
            TRIAL,
            1,
        )
        assert [item.error for item in found][1:] == ["", ""]
        assert found[0].error.startswith("webhook at 127.0.0.1")
        assert (len(other.received), len(server.letters)) == (1, 1)


def test_send_survives_a_channel_with_a_fault() -> None:
    class Broken:
        name = "broken"

        def send(self, *_: Any) -> None:
            raise ZeroDivisionError("oops")

    (found,) = send([Broken()], TRIAL, 5)
    assert found.error == "broken failed: ZeroDivisionError: oops"
