"""Database branches on Neon: what a create, reset, delete leaves after any interruption, and what is refused."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from fake_neon import PROJECT, FakeNeon, Fault

from penstock.branches.neon import NeonClient
from penstock.branches.neon_branches import NeonBranches
from penstock.credentials import plain
from penstock.errors import BranchError, NeonError, SettingsError

NAME = "preview/pr-12"


def named(neon: FakeNeon, name: str) -> list[dict]:
    return [branch for branch in neon.branches.values() if branch["name"] == name]


def test_create_makes_a_ready_branch_from_the_targets_own(neon: FakeNeon, branches: NeonBranches) -> None:
    created = branches.create(NAME)

    assert created.new
    assert (created.branch.name, created.branch.parent, created.branch.state) == (NAME, "dev", "ready")
    assert created.branch.host.endswith(".neon.tech")
    assert named(neon, NAME)[0]["parent_id"] == neon.named("dev")["id"]


def test_create_twice_is_the_same_branch(neon: FakeNeon, branches: NeonBranches) -> None:
    first = branches.create(NAME)

    second = branches.create(NAME)

    assert (first.new, second.new) == (True, False)
    assert first.branch == second.branch
    assert len(named(neon, NAME)) == 1


def test_create_of_a_branch_that_is_there_sets_a_new_expiry_and_keeps_it_without_one(
    neon: FakeNeon, branches: NeonBranches
) -> None:
    first, later = datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)
    branches.create(NAME, first)

    assert branches.create(NAME, later).branch.expires_at == later
    assert branches.create(NAME).branch.expires_at == later


@pytest.mark.parametrize("status", [0, 500, 502, 504])
def test_create_whose_answer_was_lost_finds_its_branch(
    neon: FakeNeon, branches: NeonBranches, status: int
) -> None:
    neon.faults = [Fault("POST", "/branches", status, done=True)]

    created = branches.create(NAME)

    assert created.branch.state == "ready"
    assert len(named(neon, NAME)) == 1
    assert neon.count("POST", "^/branches$") == 1


def test_create_that_was_not_carried_out_is_tried_again(neon: FakeNeon, branches: NeonBranches) -> None:
    neon.faults = [Fault("POST", "/branches", 500, times=2)]

    assert branches.create(NAME).new
    assert len(named(neon, NAME)) == 1


def test_create_that_neon_refuses_is_told_once(neon: FakeNeon, branches: NeonBranches) -> None:
    neon.faults = [Fault("POST", "/branches", 422, times=10)]

    with pytest.raises(NeonError, match="cannot create branch 'preview/pr-12': it was ordered to fail"):
        branches.create(NAME)

    assert neon.count("POST", "^/branches$") == 1


class Killed(BaseException):
    """What kill -9 does to the process that waits: nothing after it is done."""


def test_create_killed_while_it_waits_is_finished_by_the_next(neon: FakeNeon, make_client) -> None:
    def die(_: float) -> None:
        raise Killed

    neon.looks = 5
    dying = NeonClient(PROJECT, plain(next(iter(neon.keys))), neon.url, sleep=die)
    with pytest.raises(Killed):
        NeonBranches(lambda: dying, "dev", "dev").create(NAME)
    dying.close()
    assert named(neon, NAME)[0]["current_state"] == "init"

    created = NeonBranches(make_client, "dev", "dev").create(NAME)

    assert (created.new, created.branch.state) == (False, "ready")
    assert len(named(neon, NAME)) == 1
    assert not [o for o in neon.operations.values() if o["status"] != "finished"]


@pytest.mark.parametrize(
    ("action", "when"),
    [("create", "request"), ("create", "response"), ("reset", "response"), ("delete", "response")],
)
def test_killed_at_any_request_the_same_task_again_completes_it(
    neon: FakeNeon, make_client, key: str, action: str, when: str
) -> None:
    """Every request in turn is the last one: before it was sent, or before its answer was read."""
    whole = NeonBranches(make_client, "dev", "dev")
    for number in range(100):
        name = f"preview/pr-{number + 1}"
        if action != "create":
            whole.create(name)
        if not killed(neon, key, when, number, action, name):
            assert number > 4  # every request was the last one once
            return

        getattr(whole, action)(name)

        there = [] if action == "delete" else ["ready"]
        assert [branch["current_state"] for branch in named(neon, name)] == there
        at_work = [o for o in neon.operations.values() if o["status"] in ("scheduling", "running")]
        assert (
            not at_work or action == "delete"
        )  # what is begun there Neon ends, and nobody needs to wait for
    raise AssertionError("a task that never ends")


def killed(neon: FakeNeon, key: str, when: str, number: int, action: str, name: str) -> bool:
    """Run a task that dies at the request of that number; False when it came to its end before."""
    left = number

    def die(_: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed

    dying = NeonClient(PROJECT, plain(key), neon.url, sleep=lambda _: None)
    dying._http.event_hooks = {when: [die]}
    try:
        getattr(NeonBranches(lambda: dying, "dev", "dev"), action)(name)
    except Killed:
        return True
    finally:
        dying.close()
    return False


@pytest.mark.parametrize(("unique_names", "same_second"), [(True, False), (False, False), (False, True)])
def test_two_creates_at_once_end_with_one_branch(
    neon: FakeNeon, key: str, unique_names: bool, same_second: bool
) -> None:
    neon.unique_names, neon.same_second = unique_names, same_second
    meet = threading.Barrier(2)
    neon.before_create = lambda: meet.wait(60) if neon.count("POST", "^/branches$") <= 2 else None

    def create() -> tuple[bool, str]:
        client = NeonClient(PROJECT, plain(key), neon.url, sleep=lambda _: None)
        branches = NeonBranches(lambda: client, "dev", "dev")
        try:
            created = branches.create(NAME)
            return created.new, branches.database_url(NAME)
        finally:
            client.close()

    with ThreadPoolExecutor(2) as pool:
        results = [future.result(60) for future in [pool.submit(create) for _ in range(2)]]

    assert sorted(new for new, _ in results) == [False, True]
    assert results[0][1] == results[1][1]
    assert len(named(neon, NAME)) == 1
    assert named(neon, NAME)[0]["current_state"] == "ready"


def test_create_gives_a_branch_without_compute_one(
    neon: FakeNeon, branches: NeonBranches, told: list[str]
) -> None:
    neon.add_branch(NAME, parent="dev", compute=False)

    created = branches.create(NAME)

    assert not created.new
    assert created.branch.host
    assert f"{NAME} has no compute yet: creating one" in told


def test_create_of_a_compute_whose_answer_was_lost_goes_on(neon: FakeNeon, branches: NeonBranches) -> None:
    neon.add_branch(NAME, parent="dev", compute=False)
    neon.faults = [Fault("POST", "/endpoints", 504, done=True)]

    assert branches.create(NAME).branch.host
    assert neon.count("POST", "^/endpoints$") == 1


def test_create_without_the_parent_says_so(neon: FakeNeon, make_client) -> None:
    del neon.branches[neon.named("dev")["id"]]

    with pytest.raises(BranchError, match="no branch 'dev', which target 'dev' stands on"):
        NeonBranches(make_client, "dev", "dev").create(NAME)


def test_a_name_that_is_part_of_others_is_told_from_them(neon: FakeNeon, branches: NeonBranches) -> None:
    neon.add_branch("preview/pr-123", parent="dev")

    assert branches.create(NAME).new
    assert branches.delete(NAME)
    assert [b["name"] for b in neon.branches.values()] == ["main", "dev", "preview/pr-123"]


def test_reset_restores_from_the_parent_and_waits(neon: FakeNeon, branches: NeonBranches) -> None:
    branches.create(NAME)
    seen = []
    neon.on_reset = lambda branch: seen.append(branch["name"])

    branch = branches.reset(NAME)

    assert (seen, branch.name, branch.state) == ([NAME], NAME, "ready")


def test_delete_is_over_when_neon_is_done_and_a_second_finds_nothing(
    neon: FakeNeon, branches: NeonBranches
) -> None:
    branches.create(NAME)

    assert branches.delete(NAME) is True
    assert branches.delete(NAME) is False
    assert named(neon, NAME) == []
    assert not [o for o in neon.operations.values() if o["status"] != "finished"]


def test_expire_sets_and_takes_back(branches: NeonBranches) -> None:
    at = datetime(2027, 1, 1, 12, tzinfo=UTC)
    branches.create(NAME)

    assert branches.expire(NAME, at).expires_at == at
    assert branches.expire(NAME, None).expires_at is None


@pytest.mark.parametrize("name", ["main", "dev", "production", "local", "master"])
@pytest.mark.parametrize("action", ["create", "reset", "delete", "expire"])
def test_environments_own_branches_are_left_alone(
    neon: FakeNeon, branches: NeonBranches, name: str, action: str
) -> None:
    before = dict(neon.branches)

    with pytest.raises(BranchError, match=f"'{name}' is an environment's own branch"):
        getattr(branches, action)(name, *([None] if action == "expire" else []))

    assert neon.branches == before
    assert neon.requests == []


@pytest.mark.parametrize("fields", [{"protected": True}, {"default": True}])
@pytest.mark.parametrize("action", ["reset", "delete"])
def test_branch_that_neon_protects_is_left_alone(
    neon: FakeNeon, branches: NeonBranches, fields: dict, action: str
) -> None:
    neon.add_branch("staging", parent="main", **fields)

    with pytest.raises(BranchError, match="'staging' is "):
        getattr(branches, action)("staging")

    assert neon.count("DELETE", "") + neon.count("POST", "") == 0


@pytest.mark.parametrize("action", ["reset", "delete"])
def test_branch_with_children_is_left_alone_and_they_are_named(
    neon: FakeNeon, branches: NeonBranches, action: str
) -> None:
    neon.add_branch(NAME, parent="dev")
    neon.add_branch("child-a", parent=NAME)
    neon.add_branch("child-b", parent=NAME)

    with pytest.raises(BranchError, match="child-a, child-b"):
        getattr(branches, action)(NAME)

    assert named(neon, NAME)


def test_reset_of_a_root_branch_is_refused(neon: FakeNeon, branches: NeonBranches) -> None:
    neon.add_branch("orphan")

    with pytest.raises(BranchError, match="'orphan' has no parent"):
        branches.reset("orphan")


@pytest.mark.parametrize("action", ["reset", "database_url", "expire"])
def test_branch_that_is_not_there_is_named_with_the_next_step(branches: NeonBranches, action: str) -> None:
    with pytest.raises(BranchError, match="no database branch 'preview/pr-12' on target 'dev'") as caught:
        getattr(branches, action)(NAME, *([None] if action == "expire" else []))

    assert "invoke branch.create preview/pr-12 --target dev" in caught.value.hint


@pytest.mark.parametrize("name", ["", "a b", "-x", "git", "x" * 64, "é", "a=b", "a\nb"])
def test_name_that_could_not_be_a_local_database_too_is_refused(
    neon: FakeNeon, branches: NeonBranches, name: str
) -> None:
    with pytest.raises(SettingsError, match="cannot be a database branch's name"):
        branches.create(name)

    assert neon.requests == []


def test_list_shows_parents_hosts_and_what_is_protected(neon: FakeNeon, branches: NeonBranches) -> None:
    branches.create(NAME)
    neon.add_branch("bare", parent=NAME, compute=False)

    found = {branch.name: branch for branch in branches.all()}

    assert {name: branch.parent for name, branch in found.items()} == {
        "main": "", "dev": "main", NAME: "dev", "bare": NAME,
    }  # fmt: skip
    assert [name for name, branch in found.items() if branch.protected] == ["main", "dev"]
    assert [name for name, branch in found.items() if not branch.host] == ["bare"]


def test_database_url_is_of_the_only_database_and_its_owner(neon: FakeNeon, branches: NeonBranches) -> None:
    branches.create(NAME)

    direct, pooled = branches.database_url(NAME), branches.database_url(NAME, pooled=True)

    assert direct.startswith("postgresql://neondb_owner:fake-pass-word@ep-")
    assert "-pooler" not in direct
    assert "-pooler." in pooled


def test_database_url_of_several_databases_must_be_chosen(neon: FakeNeon, make_client) -> None:
    neon.databases = ["app", "marts"]

    with pytest.raises(BranchError, match="not exactly one database; it has app, marts") as caught:
        NeonBranches(make_client, "dev", "dev").database_url("dev")
    assert "PENSTOCK_NEON_DATABASE" in caught.value.hint

    chosen = NeonBranches(make_client, "dev", "dev", database="marts", role="syncer").database_url("dev")
    assert chosen.startswith("postgresql://syncer:")
    assert "/marts?" in chosen
    with pytest.raises(BranchError, match="no database 'none'"):
        NeonBranches(make_client, "dev", "dev", database="none").database_url("dev")


def test_any_call_waits_out_another_ones_operation(neon: FakeNeon, branches: NeonBranches, clock) -> None:
    branches.create(NAME)
    neon.looks = 4
    neon._operation("check_availability", neon.named("main")["id"])

    assert branches.reset(NAME).state == "ready"
    assert neon.count("POST", "restore$") > 1
