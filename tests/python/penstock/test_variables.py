"""Settings from environment variables: types, bounds, all faults at once, no secret in a message."""

from pathlib import Path

import pytest

from penstock.errors import SettingsError
from penstock.variables import Field, Variables


class Example(Variables, prefix="EXAMPLE_"):
    name: str = Field("nobody", description="A name.")
    loud: bool = Field(False, description="Say it.")
    count: int = Field(3, ge=1, le=9, description="How many.")
    seconds: float = Field(1.5, gt=0, description="How long.")
    folder: Path = Field(Path("/tmp"), description="Where.")
    secret: str = Field("", validation_alias="THE_KEY", repr=False, description="A key.")
    port: int = Field(0, repr=False, description="A number that is a secret.")


def test_defaults_are_typed():
    found = Example({})
    assert (found.name, found.loud, found.count, found.seconds) == ("nobody", False, 3, 1.5)
    assert found.folder == Path("/tmp")


def test_variables_are_read_by_prefix_or_by_their_own_name_and_arguments_win():
    environ = {
        "EXAMPLE_COUNT": " 7 ",
        "THE_KEY": "k",
        "EXAMPLE_FOLDER": "/a b",
        "EXAMPLE_NAME": "it",
        "COUNT": "1",
    }
    found = Example(environ, name="given")
    assert (found.count, found.secret, found.folder, found.name) == (7, "k", Path("/a b"), "given")


@pytest.mark.parametrize(
    ("word", "meant"), [("1", True), ("TRUE", True), ("off", False), ("", False), ("n", False)]
)
def test_booleans_are_words(word, meant):
    assert Example({"EXAMPLE_LOUD": word}).loud is meant


def test_all_faults_are_named_at_once():
    environ = {"EXAMPLE_LOUD": "perhaps", "EXAMPLE_COUNT": "10", "EXAMPLE_SECONDS": "0"}
    with pytest.raises(SettingsError) as raised:
        Example(environ, colour="red")
    for fault in (
        "'colour' is no setting",
        "EXAMPLE_LOUD: 'perhaps' is neither true nor false",
        "EXAMPLE_COUNT: '10' is more than 9",
        "EXAMPLE_SECONDS: '0' is not more than 0",
    ):
        assert fault in raised.value.message


@pytest.mark.parametrize("value", ["nan", "ten", "1.5", "0", ""])
def test_a_number_that_is_none_or_out_of_bounds_is_refused(value):
    with pytest.raises(SettingsError, match="EXAMPLE_COUNT"):
        Example({"EXAMPLE_COUNT": value})


def test_not_a_number_is_within_no_bound():
    with pytest.raises(SettingsError, match="EXAMPLE_SECONDS"):
        Example({"EXAMPLE_SECONDS": "nan"})


def test_a_secret_is_in_no_message_and_no_repr():
    with pytest.raises(SettingsError) as raised:
        Example({"EXAMPLE_PORT": "hunter2"})
    assert "hunter2" not in raised.value.message
    assert "EXAMPLE_PORT" in raised.value.message
    assert "hunter2" not in repr(Example({"THE_KEY": "hunter2"}))
