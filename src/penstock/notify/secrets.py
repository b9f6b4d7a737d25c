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

# Shorter ones are taken out nowhere: they would eat words, as the local stack's key "test" did.
SHORTEST = 6
# Parts of a webhook's path at least so long are keys by themselves; shorter ones are words ("services").
SHORTEST_PART = 12


class Secrets:
    """What must not be said: the database's password, AWS's key, and each URL that `add` is given."""

    def __init__(self, connections: Connections) -> None:
        try:
            self._database_url = connections.postgres_url()
        except PenstockError:  # none is set, and then there is none to hide
            self._database_url = ""
        self._words = {connections.secret_key}

    def add(self, url: str) -> None:
        """Learn a URL that is a key, or has one in its path, its query or its login."""
        self._words |= {url, *_keys(url)}

    def removed_from(self, text: str) -> str:
        """Return the text with *** in place of each secret."""
        cleaned = without_secret(text, self._database_url) if self._database_url else text
        # the longest first: a URL before the password in it
        for word in sorted(filter(_tellable, self._words), key=len, reverse=True):
            cleaned = cleaned.replace(word, "***")
        return cleaned

    def removed_from_outcome(self, outcome: Outcome) -> Outcome:
        return replace(outcome, error=self.removed_from(outcome.error), hint=self.removed_from(outcome.hint))


def _tellable(word: str) -> bool:
    return len(word) >= SHORTEST


def _keys(url: str) -> set[str]:
    """The password, the path and the query, whole and in parts."""
    try:
        parts = urlsplit(url)
        password = parts.password or ""
    except ValueError:
        return set()
    found = {part for part in re.split(r"[/=&]", f"{parts.path}&{parts.query}") if len(part) >= SHORTEST_PART}
    return found | {password, unquote(password), parts.path.strip("/"), parts.query}
