"""The branch tasks as a user types them: processes of their own, on the local server and on the fake Neon."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
import pytest
from fake_neon import PROJECT, FakeNeon
from psycopg.conninfo import conninfo_to_dict

from penstock.local.stack import LocalStack
from penstock.settings import PROJECT_ROOT

FOREIGN = ("AWS_", "PENSTOCK_", "NEON_", "DATABASE_URL", "FORCE_COLOR")  # of the tests' own environment
NEON_PASSWORD = "fake-pass-word"


@dataclass(frozen=True)
class Told:
    """How a task ended, with every run of blanks as one."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return self.out + self.err


def environ(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return kept | variables


def invoke(variables: dict[str, str], *arguments: str) -> Told:
    ended = subprocess.run(
        [sys.executable, "-m", "invoke", *arguments], cwd=PROJECT_ROOT, env=environ(**variables),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return Told(ended.returncode, " ".join(ended.stdout.split()), " ".join(ended.stderr.split()))


Task = Callable[..., Told]


@pytest.fixture
def local(local_stack: LocalStack) -> Task:
    """Run a task on the local target; the branches that a test names `preview/pr-…` it deletes itself."""
    local_stack.up()
    return lambda *arguments: invoke({"PENSTOCK_STATE_DIR": str(local_stack.folder)}, *arguments)


@pytest.fixture
def dev_environ(neon: FakeNeon, key: str) -> dict[str, str]:
    return {
        "PENSTOCK_TARGET": "dev",
        "PENSTOCK_AWS_ACCOUNT": "123456789012",
        "PENSTOCK_NEON_API_URL": neon.url,
        "NEON_API_KEY": key,
        "NEON_PROJECT_ID": PROJECT,
    }


@pytest.fixture
def dev(dev_environ: dict[str, str]) -> Task:
    return lambda *arguments: invoke(dev_environ, *arguments)


def test_local_branch_from_create_to_delete(local: Task, local_stack: LocalStack) -> None:
    name = f"preview/pr-{uuid.uuid4().int % 1_000_000_000}"
    password = str(conninfo_to_dict(local_stack.connections().database_url)["password"])
    told = [local("branch.create", name, "--expires", "7d")]
    assert told[0].code == 0, told[0].err
    assert f"Branch {name} was created from local" in told[0].err
    assert f"invoke sync --branch {name}" in told[0].err

    told.append(local("branch.create", name))
    assert "was there already" in told[-1].err
    told.append(local("branch.list"))
    assert f"{name} local ready" in told[-1].out

    exports = local("env", "--branch", name)
    assert f"export PENSTOCK_BRANCH={name}" in exports.out
    url = next(word for word in exports.out.split() if word.startswith("DATABASE_URL=")).partition("=")[2]
    with psycopg.connect(url) as connection:
        assert connection.info.dbname == name

    unasked = local("branch.reset", name)
    assert unasked.code == 1
    assert "Add --yes" in unasked.err
    told += [unasked, local("branch.reset", name, "--yes")]
    assert f"Branch {name} is what local is now" in told[-1].err
    told.append(local("branch.delete", name, "--expires", "1h"))
    told.append(local("branch.prune", "--yes"))
    assert "No branch has expired" in told[-1].err
    told += [local("branch.delete", name, "--yes"), local("branch.delete", name, "--yes")]
    assert [t.code for t in told[-2:]] == [0, 0]
    assert "nothing to delete" in told[-1].err
    gone = local("env", "--branch", name)
    assert gone.code == 1
    assert f"no database branch '{name}' on target 'local'" in gone.err
    assert not [t for t in told if password in t.all]


def test_neon_branch_from_create_to_delete(neon: FakeNeon, dev: Task, key: str) -> None:
    told = [dev("branch.create", "preview/pr-12", "--expires", "2027-01-31T12:00:00Z")]
    assert told[0].code == 0, told[0].err
    assert "Branch preview/pr-12 was created from dev" in told[0].err
    assert "--target dev --branch preview/pr-12" in told[0].err
    assert "2027-01-31 12:00" in told[0].out
    assert ".us-east-2.aws.neon.tech" in told[0].out

    told.append(dev("branch.create", "preview/pr-12"))
    assert "was there already" in told[-1].err
    told.append(dev("branch.list"))
    assert "preview/pr-12 dev ready" in told[-1].out
    told.append(dev("branch.list", "--json"))
    listed = json.loads(told[-1].out)
    assert [(b["name"], b["parent"], b["protected"]) for b in listed] == [
        ("main", "", True), ("dev", "main", True), ("preview/pr-12", "dev", False),
    ]  # fmt: skip
    assert listed[2]["expires_at"] == "2027-01-31T12:00:00+00:00"
    told.append(dev("branch.reset", "preview/pr-12", "--yes"))
    assert "is what dev is now" in told[-1].err
    assert [t.code for t in told] == [0] * 5

    url, pooled = dev("branch.url", "preview/pr-12"), dev("branch.url", "preview/pr-12", "--pooled")
    assert (url.err, pooled.err) == ("", "")
    assert url.out.startswith(f"postgresql://neondb_owner:{NEON_PASSWORD}@ep-")
    assert pooled.out == url.out.replace(".us-east-2", "-pooler.us-east-2")

    exports = dev("env", "--branch", "preview/pr-12")
    assert f":{NEON_PASSWORD}@" in exports.out  # that is what it is for
    assert key not in exports.all

    told += [dev("branch.delete", "preview/pr-12", "--yes"), dev("branch.delete", "preview/pr-12", "--yes")]
    assert [t.code for t in told[-2:]] == [0, 0]
    assert [b["name"] for b in neon.branches.values()] == ["main", "dev"]
    assert not [t for t in told if key in t.all or NEON_PASSWORD in t.all]


def test_create_killed_while_it_waits_is_finished_by_the_next(
    neon: FakeNeon, dev: Task, dev_environ: dict[str, str]
) -> None:
    neon.looks = 10_000
    process = subprocess.Popen(
        [sys.executable, "-m", "invoke", "branch.create", "preview/pr-12"],
        cwd=PROJECT_ROOT, env=environ(**dev_environ), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    for _ in range(600):
        if neon.count("GET", "^/operations/"):
            break
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(60)
    assert neon.named("preview/pr-12")["current_state"] == "init"
    for operation in neon.operations.values():
        operation["_left"] = 2

    told = dev("branch.create", "preview/pr-12")

    assert told.code == 0, told.err
    assert "was there already, and can be used" in told.err
    assert neon.count("POST", "^/branches$") == 1


@pytest.mark.parametrize("action", ["reset", "delete"])
@pytest.mark.parametrize("name", ["main", "dev", "production"])
def test_environments_own_branches_are_refused_even_with_yes(
    neon: FakeNeon, dev: Task, action: str, name: str
) -> None:
    told = dev(f"branch.{action}", name, "--yes")

    assert told.code == 1
    assert f"'{name}' is an environment's own branch" in told.err
    assert neon.requests == []


def test_wrong_key_is_told_without_it(neon: FakeNeon, dev: Task, key: str) -> None:
    neon.keys = {"another"}

    told = dev("branch.list")

    assert told.code == 1
    assert "HTTP 401" in told.err
    assert "Traceback" not in told.err
    assert key not in told.all


@pytest.mark.parametrize(
    ("variables", "arguments", "words"),
    [
        ({"NEON_API_KEY": ""}, ["branch.list"], "no NEON_API_KEY is set"),
        ({"NEON_PROJECT_ID": ""}, ["branch.list"], "no NEON_PROJECT_ID is set"),
        ({"PENSTOCK_NEON_API_URL": "http://neon.example/v2"}, ["branch.list"], "no https address"),
        ({"PENSTOCK_TARGET": "production"}, ["branch.create", "x"], "Production has no database branches"),
        ({"PENSTOCK_TARGET": "production"}, ["sync", "--branch", "x"], "Production has no database branches"),
        ({}, ["sync", "--branch", "main"], "does not belong to target 'dev'"),
        ({}, ["branch.create", "x", "--expires", "soon"], "--expires soon is no time"),
        ({}, ["branch.create", "x", "--expires", "2020-01-01"], "has passed"),
        ({}, ["branch.create", "a b"], "cannot be a database branch's name"),
        ({}, ["env", "--branch", "nowhere"], "no database branch 'nowhere' on target 'dev'"),
    ],
)
def test_mistakes_are_told_without_a_stack_trace(
    dev_environ: dict[str, str], variables: dict[str, str], arguments: list[str], words: str
) -> None:
    told = invoke(dev_environ | variables, *arguments)

    assert told.code == 1
    assert words in told.err
    assert "next:" in told.err
    assert "Traceback" not in told.err
