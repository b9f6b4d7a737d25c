"""Secrets: where they lie, read when first needed, read anew when they are refused.

A secret is rotated while a sync runs, so nothing keeps one for good: whoever is told "unauthorized" asks for a newer value
than the one that failed, once. Places are SSM Parameter Store and Secrets Manager; a plain environment variable is a value
that cannot change. No value appears in a message, a log or a repr.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from penstock.errors import CredentialsError, SettingsError

# service name -> client, as `Connections.client` makes it
ClientOf = Callable[[str], Any]

FORMS = "ssm:<parameter>, secretsmanager:<secret> or secretsmanager:<secret>#<key of its JSON>"


class Secret:
    """A value that is fetched on first use and kept; `newer_than` fetches again. Safe to share between threads."""

    def __init__(self, fetch: Callable[[], str], *, may_change: bool = True) -> None:
        self._fetch = fetch
        self._may_change = may_change
        self._value: str | None = None
        self._guard = threading.Lock()

    def __repr__(self) -> str:
        return "Secret(***)"

    def value(self) -> str:
        with self._guard:
            if self._value is None:
                self._value = self._fetch()
            return self._value

    def newer_than(self, refused: str) -> str | None:
        """Return a value other than the refused one, or None when there is none.

        Of several threads that were refused the same value only the first one fetches.
        """
        if not self._may_change:
            return None
        with self._guard:
            if self._value in (None, refused):
                self._value = self._fetch()
            return None if self._value == refused else self._value


def plain(value: str) -> Secret:
    """Return the secret of an environment variable, of which this process will never see another value."""
    return Secret(lambda: value, may_change=False)


def stored(setting: str, place: str, client: ClientOf) -> Secret:
    """Return the secret that lies at a place; `setting` names the variable in errors. Nothing is fetched yet.

    Raises: SettingsError for a place that is written in no known form.
    """
    service, _, rest = place.partition(":")
    name, _, key = rest.partition("#")
    if service == "ssm" and rest:
        return Secret(lambda: _parameter(setting, rest, client))
    if service == "secretsmanager" and name:
        return Secret(lambda: _managed(setting, name, key, client))
    raise SettingsError(f"{setting} is written in no known form.", hint=f"{setting}={FORMS}.")


def given(setting: str, value: str, place: str, client: ClientOf) -> Secret | None:
    """Return the secret that is given as a value or as a place (PENSTOCK_<setting>_FROM); None when it is not given.

    Raises: SettingsError when both are: which of the two counts would be a guess.
    """
    if value and place:
        raise SettingsError(f"{setting} and PENSTOCK_{setting}_FROM are both set.", hint="Unset one of them.")
    if place:
        return stored(f"PENSTOCK_{setting}_FROM", place, client)
    return plain(value) if value else None


def _parameter(setting: str, name: str, client: ClientOf) -> str:
    answer = _asked(
        setting, f"SSM parameter {name}", lambda: client("ssm").get_parameter(Name=name, WithDecryption=True)
    )
    return _present(setting, f"SSM parameter {name}", answer["Parameter"].get("Value", ""))


def _managed(setting: str, name: str, key: str, client: ClientOf) -> str:
    where = f"secret {name}"
    answer = _asked(setting, where, lambda: client("secretsmanager").get_secret_value(SecretId=name))
    text = answer.get("SecretString", "")
    if not key:
        return _present(setting, where, text)
    try:
        found = json.loads(text)[key]
    except (ValueError, KeyError, TypeError):
        # from None: the cause quotes the secret
        raise CredentialsError(
            f"{setting}: {where} is no JSON object with the key '{key}'.",
            hint="Mend the secret, or the key after #.",
        ) from None
    return _present(setting, f"{where}, key '{key}'", str(found))


def _asked(setting: str, where: str, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return ask()
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        missing = code in ("ParameterNotFound", "ParameterVersionNotFound", "ResourceNotFoundException")
        raise CredentialsError(
            f"{setting}: {where} {'is not there' if missing else f'cannot be read ({code})'}.",
            hint="Check name and region."
            if missing
            else "The caller needs ssm:GetParameter or secretsmanager:GetSecretValue, and kms:Decrypt for a key of its own.",
        ) from error
    except BotoCoreError as error:
        raise CredentialsError(
            f"{setting}: {where} cannot be read: {' '.join(str(error).split())}",
            hint="Set AWS_PROFILE, or any other way by which boto3 finds credentials (docs/aws.md).",
        ) from error


def _present(setting: str, where: str, text: str) -> str:
    value = text.strip()  # a secret pasted into a console ends in a line break more often than not
    if not value:
        raise CredentialsError(f"{setting}: {where} is empty.", hint="Put the value there.")
    return value
