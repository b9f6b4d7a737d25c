"""Neon's API v2 as its reference documents it, run as a real HTTP server that holds state. Address: `FakeNeon.url`.

What it keeps to: 201 with `branch`, `endpoints`, `operations` on create; operations that take some looks to end; 423 while
one of the project is at work; 401 for another key; 204 for a branch that is gone; errors as {request_id, code, message}.
A test orders faults: an answer instead of the work, or instead of the answer after the work was done.
"""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

PROJECT = "shiny-wind-028834"
_CLOCK = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Fault:
    """What the next request that matches gets. `done`: the work is done first, and only its answer replaced.

    status 0 closes the connection without an answer.
    """

    method: str
    path: str
    status: int
    times: int = 1
    done: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass
class FakeNeon:
    """One project. `looks`: at an operation until it has ended. `unique_names`: whether a name may be there once only.

    page: branches an answer at most. endings: how the next operation of an action ends, and why.
    """

    keys: set[str]
    looks: int = 2
    unique_names: bool = True
    role: str = "neondb_owner"
    databases: list[str] = field(default_factory=lambda: ["neondb"])
    password: str = "fake-pass-word"
    uri: Callable[[dict[str, Any], str, str, bool], str] | None = None
    on_create: Callable[[dict[str, Any]], None] = lambda _: None
    on_reset: Callable[[dict[str, Any]], None] = lambda _: None
    on_delete: Callable[[dict[str, Any]], None] = lambda _: None
    before_create: Callable[[], None] = lambda: None
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    branches: dict[str, dict[str, Any]] = field(default_factory=dict)
    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict)
    operations: dict[str, dict[str, Any]] = field(default_factory=dict)
    url: str = ""
    endings: dict[str, tuple[str, str]] = field(default_factory=dict)
    page: int = 100
    same_second: bool = False  # all that is made has one created_at

    def __post_init__(self) -> None:
        self._guard = threading.RLock()
        self._ticks = 0
        self.add_branch("main", default=True)
        self.add_branch("dev", parent="main")

    # what a test arranges

    def add_branch(
        self, name: str, *, parent: str = "", compute: bool = True, **fields: Any
    ) -> dict[str, Any]:
        branch = (
            self._branch(name, self.named(parent)["id"] if parent else "")
            | {"current_state": "ready"}
            | fields
        )
        self.branches[branch["id"]] = branch
        if compute:
            self._endpoint(branch["id"])["current_state"] = "idle"
        return branch

    def named(self, name: str) -> dict[str, Any]:
        return next(branch for branch in self.branches.values() if branch["name"] == name)

    def count(self, method: str, path: str) -> int:
        return sum(m == method and re.search(path, p) is not None for m, p in self.requests)

    # requests

    async def answer(self, request: Request) -> Response:
        body = await request.json() if await request.body() else {}
        return await asyncio.to_thread(self._answer, request, body)

    def _answer(self, request: Request, body: dict[str, Any]) -> Response:
        path = request.url.path.removeprefix(f"/api/v2/projects/{PROJECT}")
        self.requests.append((request.method, path))
        fault = self._fault(request.method, path)
        if fault is not None and not fault.done:
            return self._failed(fault)
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.keys:
            return _error(401, "", "authentication failed")
        if path == request.url.path:
            return _error(404, "", "project not found")
        answered = self._route(request.method, path, dict(request.query_params), body)
        return answered if fault is None else self._failed(fault)

    def _fault(self, method: str, path: str) -> Fault | None:
        with self._guard:
            for fault in self.faults:
                if fault.times and fault.method == method and re.fullmatch(fault.path, path):
                    fault.times -= 1
                    return fault
        return None

    def _failed(self, fault: Fault) -> Response:
        if fault.status == 0:
            return _Cut()
        if isinstance(fault.body, str):
            return Response(fault.body, fault.status, fault.headers)
        return _error(fault.status, "SOME_CODE", "it was ordered to fail", fault.headers)

    def _route(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> Response:
        parts = path.strip("/").split("/")
        match (method, parts):
            case ("GET", ["branches"]):
                return self._list(query)
            case ("POST", ["branches"]):
                self.before_create()
                with self._guard:
                    return self._create(body)
            case ("GET", ["endpoints"]):
                return JSONResponse({"endpoints": list(self.endpoints.values())})
            case ("POST", ["endpoints"]):
                with self._guard:
                    return self._create_endpoint(body["endpoint"]["branch_id"])
            case ("GET", ["operations"]):
                with self._guard:
                    found = list(self.operations.values())[::-1][: int(query.get("limit", "100"))]
                    return JSONResponse({"operations": found, "pagination": {"cursor": "x"}})
            case ("GET", ["operations", one]):
                with self._guard:
                    return JSONResponse({"operation": self._look(one)})
            case ("GET", ["connection_uri"]):
                return self._uri(query)
            case (_, ["branches", one, *rest]):
                with self._guard:
                    return self._one(method, one, rest, body)
        return _error(404, "", "no such route")

    def _one(self, method: str, branch_id: str, rest: list[str], body: dict[str, Any]) -> Response:
        branch = self.branches.get(branch_id)
        if branch is None:
            return Response(status_code=204) if method == "DELETE" else _error(404, "", "branch not found")
        match (method, rest):
            case ("GET", []):
                return JSONResponse({"branch": branch})
            case ("PATCH", []):
                branch["expires_at"] = body["branch"]["expires_at"]
                return JSONResponse({"branch": branch, "operations": []})
            case ("GET", ["endpoints"]):
                found = [e for e in self.endpoints.values() if e["branch_id"] == branch_id]
                return JSONResponse({"endpoints": found})
            case ("GET", ["databases"]):
                rows = [
                    {"name": name, "owner_name": self.role, "branch_id": branch_id} for name in self.databases
                ]
                return JSONResponse({"databases": rows})
            case ("DELETE", []):
                return self._delete(branch)
            case ("POST", ["restore"]):
                return self._restore(branch, body)
        return _error(405, "", "no such method")

    def _list(self, query: dict[str, str]) -> Response:
        found = [b for b in self.branches.values() if query.get("search", "") in b["name"] + b["id"]]
        key = query.get("sort_by", "updated_at")
        found.sort(key=lambda branch: str(branch[key]), reverse=query.get("sort_order", "desc") == "desc")
        start, limit = int(query.get("cursor", "0")), min(int(query.get("limit", "100")), self.page)
        shown, more = found[start : start + limit], found[start + limit :]
        pagination = {"next": str(start + limit)} if more else {}
        return JSONResponse({"branches": shown, "pagination": pagination})

    def _create(self, body: dict[str, Any]) -> Response:
        if self._is_locked():
            return _locked()
        asked = body["branch"]
        if self.unique_names and any(b["name"] == asked["name"] for b in self.branches.values()):
            return _error(409, "BRANCH_ALREADY_EXISTS", "branch with the provided name already exists")
        if asked["parent_id"] not in self.branches:
            return _error(404, "", "parent branch not found")
        branch = self._branch(asked["name"], asked["parent_id"]) | {"expires_at": asked.get("expires_at")}
        self.branches[branch["id"]] = branch
        endpoints = [self._endpoint(branch["id"]) for _ in body.get("endpoints", [])]
        operations = [self._operation("create_branch", branch["id"])]
        operations += [self._operation("start_compute", branch["id"]) for _ in endpoints]
        self.on_create(branch)
        return JSONResponse({"branch": branch, "endpoints": endpoints, "operations": operations}, 201)

    def _create_endpoint(self, branch_id: str) -> Response:
        if self._is_locked():
            return _locked()
        if any(e["branch_id"] == branch_id for e in self.endpoints.values()):
            return _error(422, "", "read_write endpoint already exists")
        endpoint = self._endpoint(branch_id)
        operation = self._operation("start_compute", branch_id)
        return JSONResponse({"endpoint": endpoint, "operations": [operation]}, 201)

    def _restore(self, branch: dict[str, Any], body: dict[str, Any]) -> Response:
        if self._is_locked():
            return _locked()
        if body["source_branch_id"] not in self.branches:
            return _error(404, "", "source branch not found")
        branch["current_state"] = "resetting"
        self.on_reset(branch)
        return JSONResponse(
            {"branch": branch, "operations": [self._operation("create_branch", branch["id"])]}
        )

    def _delete(self, branch: dict[str, Any]) -> Response:
        if self._is_locked():
            return _locked()
        if any(b.get("parent_id") == branch["id"] for b in self.branches.values()):
            return _error(422, "", "cannot delete branch that has children")
        del self.branches[branch["id"]]
        for one in [i for i, e in self.endpoints.items() if e["branch_id"] == branch["id"]]:
            del self.endpoints[one]
        self.on_delete(branch)
        return JSONResponse(
            {"branch": branch, "operations": [self._operation("delete_timeline", branch["id"])]}
        )

    def _uri(self, query: dict[str, str]) -> Response:
        branch = self.branches.get(query["branch_id"])
        if branch is None:
            return _error(404, "", "branch not found")
        database, role, pooled = query["database_name"], query["role_name"], query["pooled"] == "true"
        if self.uri is not None:
            return JSONResponse({"uri": self.uri(branch, database, role, pooled)})
        host = next(e["host"] for e in self.endpoints.values() if e["branch_id"] == branch["id"])
        name, _, rest = host.partition(".")
        host = f"{name}{'-pooler' if pooled else ''}.{rest}"
        return JSONResponse({"uri": f"postgresql://{role}:{self.password}@{host}/{database}?sslmode=require"})

    # state

    def _now(self) -> str:
        self._ticks += not self.same_second
        return (_CLOCK + timedelta(seconds=self._ticks)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _branch(self, name: str, parent_id: str) -> dict[str, Any]:
        now = self._now()
        made: dict[str, Any] = {
            "id": f"br-{uuid.uuid4().hex[:12]}",
            "project_id": PROJECT,
            "name": name,
            "current_state": "init",
            "created_at": now,
            "updated_at": now,
            "default": False,
            "protected": False,
            "logical_size": 30_000_000,
        }
        return made | ({"parent_id": parent_id} if parent_id else {})

    def _endpoint(self, branch_id: str) -> dict[str, Any]:
        one = f"ep-{uuid.uuid4().hex[:12]}"
        self.endpoints[one] = {
            "id": one,
            "branch_id": branch_id,
            "host": f"{one}.us-east-2.aws.neon.tech",
            "type": "read_write",
            "current_state": "init",
        }
        return self.endpoints[one]

    def _operation(self, action: str, branch_id: str) -> dict[str, Any]:
        one = str(uuid.uuid4())
        self.operations[one] = {
            "id": one,
            "branch_id": branch_id,
            "action": action,
            "status": "scheduling",
            "_left": self.looks,
        }
        return {name: value for name, value in self.operations[one].items() if name != "_left"}

    def _look(self, one: str) -> dict[str, Any]:
        """Return an operation, one step on."""
        operation = self.operations[one]
        operation["_left"] -= 1
        if operation["status"] in ("scheduling", "running", "failed"):
            operation["status"] = "running"
            if operation["_left"] <= 0:
                self._end(operation)
        return {name: value for name, value in operation.items() if name != "_left"}

    def _end(self, operation: dict[str, Any]) -> None:
        status, why = self.endings.pop(operation["action"], ("finished", ""))
        operation["status"] = status
        operation["error"] = why
        if status != "finished":
            operation["_left"] = 1  # a failed one is tried again
            return
        branch = self.branches.get(operation["branch_id"])
        if branch is None:
            return
        if operation["action"] == "create_branch":
            branch["current_state"] = "ready"
        for endpoint in self.endpoints.values():
            if endpoint["branch_id"] == branch["id"] and operation["action"] == "start_compute":
                endpoint["current_state"] = "active"

    def _is_locked(self) -> bool:
        """Return whether an operation is at work. Asking lets time pass: an operation of who was killed ends, too."""
        working = [one for one, o in self.operations.items() if o["status"] in ("scheduling", "running")]
        for one in working:
            self._look(one)
        return bool(working)


class NeonServer:
    """The HTTP server, one for many tests: it answers for the project of the moment."""

    def __init__(self) -> None:
        self.project: FakeNeon | None = None
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()  # who asks before the thread is up waits
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/api/v2"
        methods = ["GET", "POST", "PATCH", "DELETE"]
        app = Starlette(routes=[Route("/{rest:path}", self._answer, methods=methods)])
        config = uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )
        self._thread.start()

    async def _answer(self, request: Request) -> Response:
        assert self.project is not None
        return await self.project.answer(request)

    def serve(self, project: FakeNeon) -> FakeNeon:
        self.project, project.url = project, self.url
        return project

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(60)
        self._socket.close()


class _Cut(Response):
    """No answer: it promises more than it sends, and the server closes the connection."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002 - ASGI's
        headers = [(b"content-length", b"1000"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})
        raise ConnectionResetError("ordered")


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    body = {"request_id": "req-4711", "code": code, "message": message}
    return JSONResponse(body, status, headers)


def _locked() -> Response:
    message = "project already has running conflicting operations, scheduling of new ones is prohibited"
    return _error(423, "", message)
