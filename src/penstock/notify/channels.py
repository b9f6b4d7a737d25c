"""The ways a message goes out: a webhook in Slack's format, an SNS topic, e-mail by SMTP.

Each `send` returns when its server has taken the message, and raises NotifyError, which names the channel and the host and
never the webhook's path or a password: both are keys to the channel. Refused, so that no key travels in the clear: a
webhook without TLS, and a login at a mail server without TLS, unless the server is this machine.
"""

from __future__ import annotations

import json
import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from penstock.errors import NotifyError, SettingsError
from penstock.notify.message import Message, utc_now
from penstock.settings import LOOPBACK

if TYPE_CHECKING:
    import http.client

    from penstock.connections import Connections

# SNS takes subjects of up to 100 ASCII characters.
TOPIC_SUBJECT = 99
# Of what a server says to a refused message, that much is shown.
ANSWER_CHARACTERS = 200


class Channel(Protocol):
    @property
    def name(self) -> str:
        """What a person calls it; holds no secret."""

    def send(self, message: Message, timeout: float) -> None:
        """Hand the message over; raises NotifyError."""


@dataclass(frozen=True)
class Webhook:
    """Slack's incoming webhook, or anything that takes its JSON (Mattermost, Rocket.Chat, Discord with /slack)."""

    url: str = field(repr=False)

    @property
    def name(self) -> str:
        return f"webhook at {_host(self.url)}"

    def send(self, message: Message, timeout: float) -> None:
        import http.client
        import urllib.error
        import urllib.request

        body = json.dumps(message.slack).encode()
        headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "penstock"}
        try:
            request = urllib.request.Request(self.url, body, headers, method="POST")
            with self._opener().open(request, timeout=timeout) as answer:
                answer.read(ANSWER_CHARACTERS)
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(ANSWER_CHARACTERS).decode("utf-8", "replace").strip()
            raise NotifyError(
                f"{self.name} answered {error.code}{f': {said}' if said else ''}.",
                hint="Was the webhook withdrawn, or its channel archived? Set PENSTOCK_NOTIFY_WEBHOOK to a new one.",
            ) from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise NotifyError(f"{self.name} cannot be reached: {_why(error)}.") from None

    def _opener(self) -> Any:
        import urllib.request

        class NoRedirect(urllib.request.HTTPRedirectHandler):
            """A redirected POST would become a GET, and nobody would read the message."""

            def redirect_request(
                self, req: Any, fp: Any, code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
            ) -> None: ...

        handlers: list[Any] = [NoRedirect()]
        if urlsplit(self.url).hostname in LOOPBACK:
            handlers.append(urllib.request.ProxyHandler({}))
        return urllib.request.build_opener(*handlers)


@dataclass(frozen=True)
class Topic:
    """An SNS topic, by its ARN; published to in the region that the ARN names."""

    arn: str
    connections: Connections = field(repr=False)

    @property
    def name(self) -> str:
        return f"SNS topic {self.arn.rpartition(':')[2]}"

    def send(self, message: Message, timeout: float) -> None:  # noqa: ARG002 - boto3's own, cut short by who waits
        from uuid import uuid4

        from botocore.exceptions import BotoCoreError, ClientError

        subject = message.subject.encode("ascii", "replace").decode()[:TOPIC_SUBJECT]
        given = {"TopicArn": self.arn, "Subject": subject, "Message": message.text}
        if self.arn.endswith(".fifo"):
            given |= {"MessageGroupId": "penstock", "MessageDeduplicationId": uuid4().hex}
        region = self.arn.split(":")[3]
        try:
            replace(self.connections, region=region).client("sns").publish(**given)
        except (BotoCoreError, ClientError) as error:
            raise NotifyError(
                f"{self.name} did not take the message: {_why(error)}.",
                hint="Does the topic exist, and may this role sns:Publish to it?",
            ) from None


@dataclass(frozen=True)
class Mail:
    """E-mail by SMTP. `url`: smtp://user:password@host:587 (STARTTLS where it is offered) or smtps://…:465."""

    url: str = field(repr=False)
    to: tuple[str, ...]
    sender: str

    @property
    def name(self) -> str:
        return f"e-mail by {_host(self.url)}"

    def send(self, message: Message, timeout: float) -> None:
        try:
            with self._server(timeout) as server:
                refused = server.send_message(self._letter(message), self.sender, list(self.to))
        except smtplib.SMTPAuthenticationError as error:
            raise NotifyError(
                f"{self.name}: the login was refused ({error.smtp_code}).",
                hint="Correct user and password in PENSTOCK_SMTP_URL; special characters percent-encoded.",
            ) from None
        except smtplib.SMTPRecipientsRefused as error:
            raise NotifyError(
                f"{self.name}: no recipient was taken: {', '.join(error.recipients)}."
            ) from None
        except (smtplib.SMTPException, OSError) as error:
            raise NotifyError(f"{self.name} did not take the message: {_why(error)}.") from None
        if refused:
            raise NotifyError(f"{self.name}: not taken for {', '.join(refused)}; the others have it.")

    def _server(self, timeout: float) -> smtplib.SMTP:
        parts = urlsplit(self.url)
        host, user = parts.hostname or "", unquote(parts.username or "")
        # the system's certificates, as Postgres's verify-full takes them; SSL_CERT_FILE adds a private authority
        context = ssl.create_default_context()
        if parts.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, parts.port or 465, timeout=timeout, context=context)
        else:
            server = smtplib.SMTP(host, parts.port or 587, timeout=timeout)
        try:
            server.ehlo_or_helo_if_needed()
            if parts.scheme == "smtp" and server.has_extn("starttls"):
                server.starttls(context=context)
            elif parts.scheme == "smtp" and user and host not in LOOPBACK:
                raise NotifyError(
                    f"{self.name} offers no TLS: the password is not sent in the clear.",
                    hint="Use smtps://, another port, or a relay that needs no login.",
                )
            if user:
                server.login(user, unquote(parts.password or ""))
        except BaseException:
            server.close()
            raise
        return server

    def _letter(self, message: Message) -> EmailMessage:
        letter = EmailMessage()
        letter["Subject"] = message.subject
        letter["From"] = self.sender
        letter["To"] = ", ".join(self.to)
        letter["Date"] = format_datetime(utc_now())
        letter["Message-ID"] = make_msgid(domain=self.sender.rpartition("@")[2].rstrip("> ") or "penstock")
        letter["Auto-Submitted"] = "auto-generated"  # or an out-of-office answers
        letter.set_content(message.text)
        return letter


def webhook(url: str) -> Webhook:
    """Return the channel; raises SettingsError, without the URL."""
    parts = _split("PENSTOCK_NOTIFY_WEBHOOK", url, "https://hooks.slack.com/services/…")
    if parts.scheme not in ("https", "http") or (parts.scheme == "http" and parts.hostname not in LOOPBACK):
        raise SettingsError(
            "PENSTOCK_NOTIFY_WEBHOOK is no https URL.",
            hint="Its path is a key to the channel, so it travels by TLS only: https://hooks.slack.com/services/…",
        )
    return Webhook(url)


def topic(arn: str, connections: Connections) -> Topic:
    """Return the channel; raises SettingsError."""
    parts = arn.split(":")
    if len(parts) != 6 or parts[0] != "arn" or parts[2] != "sns" or not parts[3]:
        raise SettingsError(
            f"PENSTOCK_NOTIFY_SNS_TOPIC: '{arn}' is no topic's ARN.",
            hint="arn:aws:sns:us-east-2:123456789012:alerts",
        )
    return Topic(arn, connections)


def mail(url: str, to: Sequence[str], sender: str) -> Mail:
    """Return the channel; raises SettingsError, without the URL."""
    form = "smtp://user:password@host:587, or smtps://…:465"
    parts = _split("PENSTOCK_SMTP_URL", url, form)
    if parts.scheme not in ("smtp", "smtps"):
        raise SettingsError("PENSTOCK_SMTP_URL is no mail server's URL.", hint=form)
    for address in (*to, sender):
        name, _, domain = address.rpartition("@")
        if not name or not domain or any(letter.isspace() or letter in "<>,;" for letter in address):
            raise SettingsError(
                f"'{address}' is no e-mail address.",
                hint="PENSTOCK_NOTIFY_EMAIL_TO=ops@example.com,lead@example.com",
            )
    return Mail(url, tuple(to), sender)


def _split(setting: str, url: str, form: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise SettingsError(f"{setting} is no URL.", hint=form) from None
    if not parts.hostname:
        raise SettingsError(f"{setting} names no host.", hint=form)
    return parts


def _host(url: str) -> str:
    return urlsplit(url).hostname or "nowhere"


def _why(error: BaseException) -> str:
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    return " ".join(str(reason).split()).rstrip(".") or type(reason).__name__
