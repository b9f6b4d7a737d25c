"""The client of Neon's API, against a server that keeps to its documentation: what is repeated, what never, what is told."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime

import pytest
from fake_neon import PROJECT, FakeNeon, Fault

from penstock.branches.neon import NeonClient, Patience
from penstock.credentials import Secret, plain
from penstock.errors import NeonError, SettingsError


def test_branches_of_several_pages_are_all_found_once(neon: FakeNeon, client: NeonClient) -> None:
    neon.page = 3
    for number in range(8):
        neon.add_branch(f"b{number}", parent="dev")

    names = [branch.name for branch in client.branches()]

    assert sorted(names) == ["b0", "b1", "b2", "b3", "b4", "b5", "b6", "b7", "dev", "main"]
    assert neon.count("GET", "^/branches$") == 4


def test_create_waits_until_operations_have_ended_and_the_compute_is_ready(
    neon: FakeNeon, client: NeonClient, clock
) -> None:
    neon.looks = 4
    branch, operations = client.create_branch("x", neon.named("dev")["id"])
    assert (branch.state, [o.status for o in operations]) == ("init", ["scheduling", "scheduling"])

    client.settle(operations, "waiting")
    endpoint = client.await_ready(branch.id, "waiting")

    assert client.branch(branch.id).state == "ready"
    assert endpoint.state == "active"
    assert endpoint.host.endswith(".neon.tech")
    assert len(clock.slept) >= 3


def test_create_sends_parent_expiry_and_a_read_write_compute(neon: FakeNeon, client: NeonClient) -> None:
    at = datetime(2027, 1, 31, 12, tzinfo=UTC)

    branch, _ = client.create_branch("x", neon.named("dev")["id"], at)

    made = neon.branches[branch.id]
    assert (made["parent_id"], made["expires_at"]) == (neon.named("dev")["id"], "2027-01-31T12:00:00Z")
    assert client.branch(branch.id).expires_at == at
    assert [e.kind for e in client.endpoints(branch.id)] == ["read_write"]


@pytest.mark.parametrize("status", [423, 429, 503])
def test_call_that_was_not_carried_out_is_repeated_even_a_create(
    neon: FakeNeon, client: NeonClient, status: int
) -> None:
    neon.faults = [Fault("POST", "/branches", status, times=3)]

    client.create_branch("x", neon.named("dev")["id"])

    assert neon.count("POST", "^/branches$") == 4
    assert [b["name"] for b in neon.branches.values()].count("x") == 1


def test_call_on_a_locked_project_is_repeated_until_the_operation_has_ended(
    neon: FakeNeon, client: NeonClient
) -> None:
    neon.looks = 3
    client.create_branch("x", neon.named("dev")["id"])

    client.create_branch("y", neon.named("dev")["id"])

    assert neon.count("POST", "^/branches$") > 2


@pytest.mark.parametrize("asked", ["7", "Thu, 01 Jan 2099 00:00:00 GMT"])
def test_rate_limit_waits_as_long_as_neon_asks_or_gives_up(
    neon: FakeNeon, client: NeonClient, clock, told: list[str], asked: str
) -> None:
    neon.faults = [Fault("GET", "/branches", 429, headers={"retry-after": asked})]

    if asked == "7":
        assert list(client.branches())
        assert clock.slept == [7.0]
        assert "Trying again in 7 s" in told[0]
    else:  # longer than the client has patience: the reader is told now, not after seventy years
        with pytest.raises(NeonError, match="HTTP 429") as caught:
            list(client.branches())
        assert clock.slept == []
        assert "700 requests a minute" in caught.value.hint


@pytest.mark.parametrize("status", [0, 500, 502, 504])
def test_lost_answer_is_asked_for_again_where_twice_is_once(
    neon: FakeNeon, client: NeonClient, status: int
) -> None:
    neon.faults = [Fault("GET", "/branches", status, times=2)]

    assert [b.name for b in client.branches()] == ["dev", "main"]
    assert neon.count("GET", "^/branches$") == 3


@pytest.mark.parametrize("status", [0, 500, 502, 504])
def test_create_whose_answer_is_lost_is_not_repeated(neon: FakeNeon, client: NeonClient, status: int) -> None:
    neon.faults = [Fault("POST", "/branches", status, done=True)]

    with pytest.raises(NeonError) as caught:
        client.create_branch("x", neon.named("dev")["id"])

    assert caught.value.is_ambiguous
    assert neon.count("POST", "^/branches$") == 1


def test_failing_server_is_given_up_in_time(neon: FakeNeon, make_client, clock) -> None:
    neon.faults = [Fault("GET", "/branches", 500, times=1000)]

    with pytest.raises(NeonError, match=r"HTTP 500, SOME_CODE, request req-4711") as caught:
        list(make_client(patience=Patience(retry=20)).branches())

    assert 0 < clock.now <= 20
    assert "neonstatus.com" in caught.value.hint


def test_refusal_carries_neons_words_code_and_request(neon: FakeNeon, client: NeonClient) -> None:
    with pytest.raises(NeonError) as caught:
        client.create_branch("dev", neon.named("main")["id"])

    error = caught.value
    assert (error.status, error.code, error.request_id) == (409, "BRANCH_ALREADY_EXISTS", "req-4711")
    assert "branch with the provided name already exists" in error.message
    assert "cannot create branch 'dev'" in error.message
    assert neon.count("POST", "^/branches$") == 1


def test_key_that_was_rotated_is_read_anew_once(neon: FakeNeon, make_client) -> None:
    values = iter(["the-old-key", "the-new-key"])
    neon.keys = {"the-new-key"}
    client = make_client(Secret(lambda: next(values)))

    assert [b.name for b in client.branches()] == ["dev", "main"]
    assert list(client.branches())  # and is kept: the iterator has no third value

    assert neon.count("GET", "^/branches$") == 3


def test_key_that_stays_refused_is_told_without_it(neon: FakeNeon, make_client, key: str) -> None:
    neon.keys = set()
    reads = []
    client = make_client(Secret(lambda: reads.append(1) or key))

    with pytest.raises(NeonError, match="HTTP 401") as caught:
        list(client.branches())

    assert len(reads) == 2
    assert "NEON_API_KEY" in caught.value.hint
    assert key not in caught.value.message + caught.value.hint + repr(client) + repr(caught.value)


def test_answer_that_quotes_the_key_is_told_without_it(neon: FakeNeon, client: NeonClient, key: str) -> None:
    neon.faults = [Fault("GET", "/branches", 400, body=f'{{"message": "bad key {key}", "code": ""}}')]

    with pytest.raises(NeonError) as caught:
        list(client.branches())

    assert "bad key ***" in caught.value.message


@pytest.mark.parametrize("body", ["<html>a proxy's page</html>", "[]", '"x"'])
def test_answer_of_something_else_is_told(neon: FakeNeon, client: NeonClient, body: str) -> None:
    neon.faults = [Fault("GET", "/branches", 200, body=body)]

    with pytest.raises(NeonError, match="no JSON object") as caught:
        list(client.branches())

    assert "PENSTOCK_NEON_API_URL" in caught.value.hint


def test_answer_that_lacks_a_field_names_it(neon: FakeNeon, client: NeonClient) -> None:
    neon.faults = [Fault("GET", "/branches", 200, body='{"branches": [{"id": "br-1"}]}')]

    with pytest.raises(NeonError, match="lacks 'name'"):
        list(client.branches())


def test_branch_as_the_service_answered_before_it_said_default(neon: FakeNeon, client: NeonClient) -> None:
    recorded = {
        "branches": [
            {
                "id": "br-quiet-dawn-a5xxxxxx", "project_id": PROJECT, "name": "main",
                "current_state": "init", "pending_state": "ready", "creation_source": "console", "primary": True,
                "cpu_used_sec": 0, "compute_time_seconds": 0, "active_time_seconds": 0, "written_data_bytes": 0,
                "data_transfer_bytes": 0, "created_at": "2024-01-25T15:57:48Z", "updated_at": "2024-01-25T15:57:48Z",
            }
        ]
    }  # fmt: skip
    neon.faults = [Fault("GET", "/branches", 200, body=json.dumps(recorded))]

    [branch] = client.branches()

    assert (branch.default, branch.pending, branch.parent_id, branch.size_bytes) == (True, "ready", "", None)


def test_request_id_is_found_in_the_header_where_there_is_no_json(neon: FakeNeon, client: NeonClient) -> None:
    headers = {"x-neon-ret-request-id": "42a3b9"}
    neon.faults = [Fault("GET", "/branches", 403, headers=headers, body="<html>no</html>")]

    with pytest.raises(NeonError, match=r"Forbidden \(HTTP 403, request 42a3b9\)") as caught:
        list(client.branches())

    assert "must cover the project" in caught.value.hint


def test_branch_that_is_on_its_way_to_another_state_is_waited_for(neon: FakeNeon, make_client, clock) -> None:
    client = make_client(patience=Patience(settle=5))
    branch = neon.add_branch("x", parent="dev", pending_state="resetting")

    with pytest.raises(NeonError, match="the branch is resetting, its compute idle"):
        client.await_ready(branch["id"], "x")

    branch["pending_state"] = "ready"
    assert client.await_ready(branch["id"], "x").state == "idle"


def test_redirect_is_not_followed_with_the_key(neon: FakeNeon, client: NeonClient) -> None:
    neon.faults = [Fault("GET", "/branches", 302, headers={"location": f"{neon.url}/stolen"})]

    with pytest.raises(NeonError, match="HTTP 302"):
        list(client.branches())

    assert neon.count("GET", "stolen") == 0


def test_nobody_there_is_told_with_the_host(neon: FakeNeon, make_client, clock) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        neon.url = f"http://127.0.0.1:{free.getsockname()[1]}/api/v2"
    client = make_client(patience=Patience(connect=3))

    with pytest.raises(NeonError, match=r"no answer from 127\.0\.0\.1") as caught:
        list(client.branches())

    assert 0 < clock.now <= 3  # the network may be back in a moment
    assert not caught.value.is_ambiguous


def test_unencrypted_address_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"no https address: http://neon\.example"):
        NeonClient(PROJECT, plain("k"), "http://neon.example/api/v2")


@pytest.mark.parametrize("wrong", ["napi\nsEcrEt", "näpi-sEcrEt"])
def test_key_that_no_header_can_carry_is_refused_without_showing_it(make_client, wrong: str) -> None:
    with pytest.raises(SettingsError, match="Neon cannot be asked") as caught:
        list(make_client(plain(wrong)).branches())

    assert "sEcrEt" not in caught.value.message + caught.value.hint


def test_operation_that_failed_is_waited_for_since_neon_tries_again(
    neon: FakeNeon, client: NeonClient, told: list[str]
) -> None:
    neon.endings = {"start_compute": ("failed", "no room on the node")}
    branch, operations = client.create_branch("x", neon.named("dev")["id"])

    client.settle(operations, "waiting")

    assert client.await_ready(branch.id, "waiting").state == "active"
    assert told == ["Neon: start_compute failed (no room on the node); Neon tries again"]


@pytest.mark.parametrize("ending", ["cancelled", "error"])
def test_operation_that_ended_badly_is_named(neon: FakeNeon, client: NeonClient, ending: str) -> None:
    neon.endings = {"start_compute": (ending, "quota")}
    _, operations = client.create_branch("x", neon.named("dev")["id"])

    with pytest.raises(NeonError, match=rf"start_compute {ending} \(quota\)"):
        client.settle(operations, "waiting")


def test_operation_without_end_is_given_up_in_time_and_named(neon: FakeNeon, make_client, clock) -> None:
    neon.looks = 10_000
    client = make_client(patience=Patience(settle=60))
    _, operations = client.create_branch("x", neon.named("dev")["id"])

    with pytest.raises(NeonError, match="not done after 60 s: x: create_branch running") as caught:
        client.settle(operations, "x")

    assert clock.now <= 65
    assert "goes on from there" in caught.value.hint


def test_compute_that_never_comes_is_told_with_its_state(neon: FakeNeon, make_client) -> None:
    client = make_client(patience=Patience(settle=10))
    branch = neon.add_branch("bare", parent="dev", compute=False)

    with pytest.raises(NeonError, match="the branch is ready, its compute missing"):
        client.await_ready(branch["id"], "bare")


def test_delete_of_a_branch_that_is_gone_is_no_error(neon: FakeNeon, client: NeonClient) -> None:
    branch = neon.add_branch("x", parent="dev")

    client.settle(client.delete_branch(branch["id"]), "deleting")

    assert client.delete_branch(branch["id"]) == []
    neon.faults = [Fault("DELETE", "/branches/.*", 404)]
    assert client.delete_branch(branch["id"]) == []


def test_connection_uri_direct_and_pooled(neon: FakeNeon, client: NeonClient) -> None:
    dev = neon.named("dev")["id"]
    host = client.endpoints(dev)[0].host

    direct = client.connection_uri(dev, "neondb", "neondb_owner")
    pooled = client.connection_uri(dev, "neondb", "neondb_owner", pooled=True)

    assert direct == f"postgresql://neondb_owner:fake-pass-word@{host}/neondb?sslmode=require"
    assert f"@{host.partition('.')[0]}-pooler." in pooled
