"""What the local stack remembers: private files, written whole, and one lock."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from penstock.errors import StackError
from penstock.local import process, state
from penstock.local.state import PartRecord, State


def test_load_saved_state_is_the_same(tmp_path: Path) -> None:
    remembered = State(
        {"postgres": PartRecord(port=5433, pid=77, argv=["postgres", "-D", "a b"], ready=True)}
    )

    state.save(tmp_path, remembered)

    assert state.load(tmp_path) == State(remembered.parts, str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [state.STATE_FILE]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"parts": {"postgres": {"colour": 1}}, "folder": ""}', '{"parts": 3}']
)
def test_load_damaged_file_is_an_empty_state(tmp_path: Path, text: str) -> None:
    (tmp_path / state.STATE_FILE).write_text(text)

    assert state.load(tmp_path) == State()


def test_password_is_random_private_and_stable(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()

    secret = state.password(tmp_path)

    assert len(secret) >= 32
    assert state.password(tmp_path) == secret
    assert state.password(tmp_path / "other") != secret
    assert stat.S_IMODE((tmp_path / state.PASSWORD_FILE).stat().st_mode) == 0o600


def test_write_private_failing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret"
    state.write_private(path, "old")

    def broken(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("penstock.local.state.os.fsync", broken)
    with pytest.raises(OSError, match="disk full"):
        state.write_private(path, "new")

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_locked_second_caller_waits_and_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    order: list[str] = []

    def second() -> None:
        with state.locked(tmp_path, said.append):
            order.append("second")

    with state.locked(tmp_path, said.append):
        thread = threading.Thread(target=second)
        thread.start()
        assert process.wait_until(lambda: said != [], 60)
        order.append("first")
    thread.join(60)

    assert order == ["first", "second"]
    assert said == ["another command is starting or stopping the local stack; waiting for it"]


def test_locked_folder_removed_by_the_holder_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    held: list[bool] = []
    said: list[str] = []

    def second() -> None:
        with state.locked(folder, said.append):
            held.append((folder / state.LOCK_FILE).exists())

    with state.locked(folder, lambda _: None):
        thread = threading.Thread(target=second)
        thread.start()
        assert process.wait_until(lambda: said != [], 60)
        (folder / state.LOCK_FILE).unlink()
        folder.rmdir()
    thread.join(60)

    assert held == [True]


def test_locked_for_too_long_is_a_stack_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "LOCK_PATIENCE_SECONDS", 0.1)

    with (
        state.locked(tmp_path, lambda _: None),
        pytest.raises(StackError, match="Another command has held"),
        state.locked(tmp_path, lambda _: None),
    ):
        pass


def test_make_folder_impossible_place_is_a_stack_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    for path in (tmp_path / "file", tmp_path / "file" / "state"):
        with pytest.raises(StackError, match=f"{path} cannot be made: File exists"):
            state.make_folder(path)


def test_load_of_a_file_in_the_folders_place_is_a_stack_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StackError, match="file is no folder"):
        state.load(tmp_path / "file")


def test_make_folder_own_but_closed_is_not_said_to_be_anothers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere

    with pytest.raises(StackError, match="cannot be written to"):
        state.make_folder(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(StackError, match="belongs to another user"):
        state.make_folder(tmp_path)
