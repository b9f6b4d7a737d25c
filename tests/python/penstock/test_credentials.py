"""Secrets in SSM Parameter Store and Secrets Manager, asked for real of the stack's emulator, and their rotation."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from penstock.connections import Connections
from penstock.credentials import Secret, given, plain, stored
from penstock.errors import CredentialsError, SettingsError

WORD = "sEcrEt-4711"


@pytest.fixture
def name() -> str:
    return f"/penstock/test/{uuid.uuid4().hex[:8]}"


def test_ssm_parameter_is_read_decrypted_and_anew_when_refused(
    stack_without_athena: Connections, name: str
) -> None:
    client = stack_without_athena.client
    client("ssm").put_parameter(Name=name, Value=WORD, Type="SecureString")
    secret = stored("PENSTOCK_NEON_API_KEY_FROM", f"ssm:{name}", client)

    assert secret.value() == WORD
    client("ssm").put_parameter(Name=name, Value="rotated", Type="SecureString", Overwrite=True)
    assert secret.value() == WORD  # kept until it is refused
    assert secret.newer_than(WORD) == "rotated"
    assert secret.value() == "rotated"
    assert secret.newer_than("rotated") is None


def test_secret_of_secrets_manager_whole_or_by_key(stack_without_athena: Connections, name: str) -> None:
    client = stack_without_athena.client
    value = json.dumps({"api_key": WORD, "project": "p-1"})
    arn = client("secretsmanager").create_secret(Name=name, SecretString=value)["ARN"]

    assert stored("X_FROM", f"secretsmanager:{name}", client).value() == value
    assert stored("X_FROM", f"secretsmanager:{name}#api_key", client).value() == WORD
    assert stored("X_FROM", f"secretsmanager:{arn}#project", client).value() == "p-1"

    by_key = stored("X_FROM", f"secretsmanager:{name}#api_key", client)
    by_key.value()
    client("secretsmanager").put_secret_value(SecretId=name, SecretString='{"api_key": "rotated"}')
    assert by_key.newer_than(WORD) == "rotated"


def test_secret_pasted_with_a_line_break_is_read_without_it(
    stack_without_athena: Connections, name: str
) -> None:
    stack_without_athena.client("secretsmanager").create_secret(Name=name, SecretString=f"{WORD}\n")

    assert stored("X_FROM", f"secretsmanager:{name}", stack_without_athena.client).value() == WORD


@pytest.mark.parametrize("service", ["ssm", "secretsmanager"])
def test_secret_that_is_not_there_names_setting_and_place(
    stack_without_athena: Connections, name: str, service: str
) -> None:
    with pytest.raises(
        CredentialsError, match=f"PENSTOCK_DATABASE_URL_FROM: .*{name} is not there"
    ) as caught:
        stored("PENSTOCK_DATABASE_URL_FROM", f"{service}:{name}", stack_without_athena.client).value()

    assert caught.value.hint


@pytest.mark.parametrize("value", [WORD, f'["{WORD}"]', f'{{"other": "{WORD}"}}'])
def test_key_that_is_not_in_the_secret_is_told_without_it(
    stack_without_athena: Connections, name: str, value: str
) -> None:
    stack_without_athena.client("secretsmanager").create_secret(Name=name, SecretString=value)

    with pytest.raises(CredentialsError, match="no JSON object with the key 'api_key'") as caught:
        stored("X_FROM", f"secretsmanager:{name}#api_key", stack_without_athena.client).value()

    assert WORD not in caught.value.message + caught.value.hint
    assert caught.value.__cause__ is None


def test_empty_secret_is_told(stack_without_athena: Connections, name: str) -> None:
    stack_without_athena.client("secretsmanager").create_secret(Name=name, SecretString=" ")

    with pytest.raises(CredentialsError, match="is empty"):
        stored("X_FROM", f"secretsmanager:{name}", stack_without_athena.client).value()


def refusing(code: str) -> Callable[[str], Any]:
    from botocore.exceptions import ClientError

    class Client:
        def get_parameter(self, **_: Any) -> None:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "GetParameter")

    return lambda _: Client()


def test_secret_that_may_not_be_read_names_the_permission() -> None:
    with pytest.raises(CredentialsError, match=r"cannot be read \(AccessDeniedException\)") as caught:
        stored("X_FROM", "ssm:/a", refusing("AccessDeniedException")).value()

    assert "ssm:GetParameter" in caught.value.hint


@pytest.mark.parametrize("place", ["", "ssm:", "vault:x", "secretsmanager:", "secretsmanager:#k", WORD])
def test_place_in_no_known_form_is_refused_without_showing_it(place: str) -> None:
    with pytest.raises(SettingsError, match="X_FROM is written in no known form") as caught:
        stored("X_FROM", place, refusing(""))

    assert "ssm:<parameter>" in caught.value.hint
    assert WORD not in caught.value.message + caught.value.hint


def test_value_and_place_together_are_refused() -> None:
    with pytest.raises(SettingsError, match="NEON_API_KEY and PENSTOCK_NEON_API_KEY_FROM are both set"):
        given("NEON_API_KEY", "x", "ssm:/a", refusing(""))


def test_nothing_given_is_nothing() -> None:
    assert given("NEON_API_KEY", "", "", refusing("")) is None


def test_plain_value_has_no_newer_one() -> None:
    secret = plain(WORD)

    assert (secret.value(), secret.newer_than(WORD)) == (WORD, None)
    assert WORD not in repr(secret)


def test_threads_that_were_refused_at_once_cause_one_reading() -> None:
    reads, meet = [], threading.Barrier(8)

    def fetch() -> str:
        reads.append(1)
        return f"value {len(reads)}"

    secret = Secret(fetch)
    old = secret.value()

    def refused(_: int) -> str | None:
        meet.wait(60)
        return secret.newer_than(old)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(refused, range(8))) == {"value 2"}
    assert len(reads) == 2
