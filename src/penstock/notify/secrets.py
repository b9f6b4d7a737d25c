"""The secrets that a process holds, taken out of what it says: URLs with keys in them, passwords, access keys."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from penstock.errors import PenstockError
from penstock.notify.message import Outcome
from penstock.sync.postgres import without_secret

if TYPE_CHECKING:
    from penstock.connections import Connections
    from penstock.settings import Settings

# Shorter ones are taken out nowhere: they would eat words, as the local stack's key "test" did.
SHORTEST = 6
# Parts of a webhook's path at least so long are keys by themselves; shorter ones are words ("services").
SHORTEST_PART = 12


class Secrets:
    """What must not be said."""

    def __init__(self, settings: Settings, connections: Connections) -> None:
        try:
            self._database_url = connections.postgres_url()
        except PenstockError:  # none is set, and then there is none to hide
            self._database_url = ""
        found = {settings.notify_webhook, settings.smtp_url, connections.secret_key}
        found |= _keys(settings.notify_webhook)
        password = _password(settings.smtp_url)
        found |= {password, unquote(password)}
        # the longest first: a URL before the password in it
        self._words = sorted((word for word in found if len(word) >= SHORTEST), key=len, reverse=True)

    def removed_from(self, text: str) -> str:
        """Return the text with *** in place of each secret."""
        cleaned = without_secret(text, self._database_url) if self._database_url else text
        for word in self._words:
            cleaned = cleaned.replace(word, "***")
        return cleaned

    def removed_from_outcome(self, outcome: Outcome) -> Outcome:
        return replace(outcome, error=self.removed_from(outcome.error), hint=self.removed_from(outcome.hint))


def _keys(url: str) -> set[str]:
    """The webhook's path and query, whole and in parts."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return set()
    found = {part for part in re.split(r"[/=&]", f"{parts.path}&{parts.query}") if len(part) >= SHORTEST_PART}
    return found | {parts.path.strip("/"), parts.query}


def _password(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""
