"""Tells people when a sync begins to fail and when it works again: Slack's kind of webhook, SNS, e-mail.

Nothing here can fail a sync: what cannot be told is a warning, and no channel is waited for beyond a limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.settings import Settings


def wanted(settings: Settings) -> bool:
    """Whether any channel is set up; where none is, nothing else of this package is imported."""
    return bool(
        settings.notify_webhook
        or settings.notify_webhook_from
        or settings.notify_sns_topic
        or settings.notify_email_to
    )
