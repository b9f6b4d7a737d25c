"""Tells people when a sync begins to fail and when it works again: Slack's kind of webhook, SNS, e-mail.

Nothing here can fail a sync: what cannot be told is a warning, and no channel is waited for beyond a limit.
"""
