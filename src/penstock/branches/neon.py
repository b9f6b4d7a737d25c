"""A client of Neon's API v2: branches, their computes, operations and connection URIs, as typed values.

It repeats what may be repeated (https://neon.com/docs/reference/api): 429 as Retry-After says, 423 (another operation holds
the project) and 503 whatever the method, other server errors and lost answers only where doing it twice is the same as once.
A refused key is read anew once. Refuses to send the key anywhere but to https or this machine, and follows no redirect.
No message of its carries the key, or a connection URI.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from penstock.branches.model import Report, silent
from penstock.credentials import Secret
from penstock.errors import NeonError, SettingsError

if TYPE_CHECKING:
    import httpx

PAGE = 100  # branches or operations a request; Neon takes up to 10,000, and an answer of 100 is about 100 kB
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_ALWAYS_SAFE = frozenset({423, 429, 503})  # Neon: nothing was done
_DONE = frozenset({"finished", "skipped"})
_BROKEN = frozenset({"cancelled", "error"})  # `failed` is not among them: Neon tries again by itself

_HINTS = {
    401: "Neon refuses the key: check NEON_API_KEY, or the place PENSTOCK_NEON_API_KEY_FROM names.",
    403: "The key may not do this: an organization's or project's key must cover the project.",
    404: "Check NEON_PROJECT_ID; or somebody has deleted the branch meanwhile: then run it again.",
    423: "Another operation is at work on the Neon project: run this again when it has ended.",
    429: "Neon allows 700 requests a minute: run this again in a minute.",
}


@dataclass(frozen=True)
class Patience:
    """How long the client waits, in seconds.

    request: for one answer. Neon's take 0.1 to 2; less than 10 turns slow answers into failures.
    retry: how long one call is repeated before it is given up.
    connect: the same while nobody is there to be asked: a machine without a network should say so soon.
    settle: for the operations of one request to end and a compute to be ready. A branch takes 1 to 10; Neon's own retries
        of a failed operation take minutes.
    poll, poll_most: between two looks at an operation, doubling; many watchers share 700 requests a minute.
    """

    request: float = 30
    retry: float = 120
    connect: float = 15
    settle: float = 300
    poll: float = 0.3
    poll_most: float = 3


@dataclass(frozen=True)
class NeonBranch:
    """`parent_id` is empty for a root branch. `pending` is the state it is on its way to, empty when it rests.

    created_at: to the second; two branches made at once may have the same.
    """

    id: str
    name: str
    parent_id: str
    state: str
    pending: str
    created_at: datetime
    expires_at: datetime | None
    default: bool
    protected: bool
    size_bytes: int | None


@dataclass(frozen=True)
class Endpoint:
    """A compute. `state` is init, active or idle: an idle one wakes on a connection."""

    id: str
    branch_id: str
    host: str
    kind: str
    state: str


@dataclass(frozen=True)
class Operation:
    id: str
    branch_id: str
    action: str
    status: str
    error: str


@dataclass(frozen=True)
class NeonDatabase:
    name: str
    owner: str


@dataclass(frozen=True)
class _Failure:
    """A call without a good answer. `asked`: the seconds that Neon asks to wait. `patience`: for how long it is repeated."""

    error: NeonError
    patience: float
    asked: float = 0.0


class NeonClient:
    """One project's API. The clock is passed in, so that a test need not wait."""

    def __init__(
        self,
        project_id: str,
        api_key: Secret,
        url: str = "https://console.neon.tech/api/v2",
        *,
        patience: Patience | None = None,
        report: Report = silent,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        import httpx

        parts = urlsplit(url)
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise SettingsError(
                f"PENSTOCK_NEON_API_URL is no https address: {parts.scheme}://{parts.hostname}.",
                hint="The key would travel unencrypted. Leave the setting out for Neon's own address.",
            )
        self._patience = patience or Patience()
        self._key, self._report = api_key, report
        self._sleep, self._clock = sleep, clock
        self._project = f"/projects/{project_id}"
        self._http = httpx.Client(
            base_url=url, timeout=self._patience.request, headers={"Accept": "application/json"}
        )

    def close(self) -> None:
        self._http.close()

    # branches

    def branches(self, search: str = "") -> Iterator[NeonBranch]:
        """Yield the project's branches; `search` narrows to names and ids that contain it."""
        # by name: in Neon's own order, by last change, a branch could slip from one page to another while they are read
        params: dict[str, str | int] = {"limit": PAGE, "sort_by": "name", "sort_order": "asc"}
        if search:
            params["search"] = search
        while True:
            answer = self._call("list the branches", "GET", "/branches", params=params)
            found = [_branch(item) for item in answer.get("branches", [])]
            yield from found
            cursor = (answer.get("pagination") or {}).get("next")
            if not found or not cursor or cursor == params.get("cursor"):
                return
            params["cursor"] = cursor

    def branch(self, branch_id: str) -> NeonBranch:
        answer = self._call(f"look at branch {branch_id}", "GET", f"/branches/{branch_id}")
        return _branch(_of(answer, "branch"))

    def create_branch(
        self, name: str, parent_id: str, expires_at: datetime | None = None
    ) -> tuple[NeonBranch, list[Operation]]:
        """Create a branch with a read-write compute; it is usable once its operations have ended.

        Raises: NeonError; one with `is_ambiguous` leaves open whether the branch was made.
        """
        branch = {"name": name, "parent_id": parent_id}
        if expires_at is not None:
            branch["expires_at"] = _text(expires_at)
        body = {"branch": branch, "endpoints": [{"type": "read_write"}]}
        answer = self._call(f"create branch '{name}'", "POST", "/branches", body=body, twice_is_once=False)
        return _branch(_of(answer, "branch")), _operations(answer)

    def restore_branch(self, branch_id: str, source_id: str) -> list[Operation]:
        """Make a branch what another one is now; its connections are interrupted."""
        body = {"source_branch_id": source_id}
        return _operations(
            self._call(f"reset branch {branch_id}", "POST", f"/branches/{branch_id}/restore", body=body)
        )

    def delete_branch(self, branch_id: str) -> list[Operation]:
        """Delete a branch with its computes; one that is gone already is no error."""
        try:
            return _operations(self._call(f"delete branch {branch_id}", "DELETE", f"/branches/{branch_id}"))
        except NeonError as error:
            if error.status == 404:
                return []
            raise

    def expire_branch(self, branch_id: str, at: datetime | None) -> NeonBranch:
        body = {"branch": {"expires_at": None if at is None else _text(at)}}
        answer = self._call(
            f"set the expiry of branch {branch_id}", "PATCH", f"/branches/{branch_id}", body=body
        )
        return _branch(_of(answer, "branch"))

    # what belongs to a branch

    def endpoints(self, branch_id: str = "") -> list[Endpoint]:
        """Return the computes of a branch, or of the whole project."""
        path = f"/branches/{branch_id}/endpoints" if branch_id else "/endpoints"
        answer = self._call("list the computes", "GET", path)
        return [
            Endpoint(*(str(_of(item, name)) for name in ("id", "branch_id", "host", "type", "current_state")))
            for item in answer.get("endpoints", [])
        ]

    def create_endpoint(self, branch_id: str) -> list[Operation]:
        """Give a branch a read-write compute. Neon allows it one, so doing it twice is refused, not done twice."""
        body = {"endpoint": {"branch_id": branch_id, "type": "read_write"}}
        answer = self._call(
            f"create a compute for branch {branch_id}", "POST", "/endpoints", body=body, twice_is_once=False
        )
        return _operations(answer)

    def databases(self, branch_id: str) -> list[NeonDatabase]:
        answer = self._call("list the databases", "GET", f"/branches/{branch_id}/databases")
        return [
            NeonDatabase(str(_of(item, "name")), str(_of(item, "owner_name")))
            for item in answer.get("databases", [])
        ]

    def connection_uri(self, branch_id: str, database: str, role: str, *, pooled: bool = False) -> str:
        """Return the URI with the role's password: for connections, never for print."""
        params: dict[str, str | int] = {
            "branch_id": branch_id,
            "database_name": database,
            "role_name": role,
            "pooled": "true" if pooled else "false",
        }
        answer = self._call("ask for the connection URI", "GET", "/connection_uri", params=params)
        return str(_of(answer, "uri"))

    # waiting

    def now(self) -> float:
        """Return the client's clock, in seconds."""
        return self._clock()

    def wait_until(self, at: float) -> None:
        self._sleep(max(0.0, at - self._clock()))

    def unfinished(self, branch_id: str) -> list[Operation]:
        """Return what is still at work on a branch, of the project's newest operations."""
        answer = self._call("list the operations", "GET", "/operations", params={"limit": PAGE})
        wanted = ("scheduling", "running", "cancelling")
        return [o for o in _operations(answer) if o.branch_id == branch_id and o.status in wanted]

    def settle(self, operations: Iterable[Operation], what: str) -> None:
        """Return when the operations have ended well.

        Raises: NeonError naming the operation that was cancelled, or that has not ended in time and why.
        """
        waiting = {operation.id: operation for operation in operations}

        def settled() -> bool:
            for operation in list(waiting.values()):
                now = operation
                if now.status not in _DONE | _BROKEN:
                    now = self._operation(operation.id)
                if now.status in _BROKEN:
                    raise NeonError(
                        f"Neon: {what}: {_told(now)}.",
                        hint="Run it again; Neon's console shows the operation.",
                    )
                if now.status in _DONE:
                    del waiting[now.id]
                else:
                    if now.status == "failed" and waiting[now.id].status != "failed":
                        self._report(f"Neon: {_told(now)}; Neon tries again")
                    waiting[now.id] = now
            return not waiting

        self._until(settled, lambda: f"{what}: {'; '.join(map(_told, waiting.values()))}")

    def await_ready(self, branch_id: str, what: str) -> Endpoint:
        """Return the branch's read-write compute when both can be used (an idle compute can: it wakes on a connection)."""
        found: list[Endpoint] = []
        told = ""

        def ready() -> bool:
            nonlocal told
            branch = self.branch(branch_id)
            found[:] = [e for e in self.endpoints(branch_id) if e.kind == "read_write"]
            computes = ", ".join(endpoint.state for endpoint in found) or "missing"
            told = f"the branch is {branch.pending or branch.state}, its compute {computes}"
            rests = branch.state in ("ready", "archived") and branch.pending in ("", branch.state)
            return rests and any(endpoint.state in ("active", "idle") for endpoint in found)

        self._until(ready, lambda: f"{what}: {told}")
        return found[0]

    def _operation(self, operation_id: str) -> Operation:
        answer = self._call("look at an operation", "GET", f"/operations/{operation_id}")
        return _operation(_of(answer, "operation"))

    def _until(self, done: Callable[[], bool], told: Callable[[], str]) -> None:
        deadline, pause = self._clock() + self._patience.settle, self._patience.poll
        while not done():
            if self._clock() >= deadline:
                raise NeonError(
                    f"Neon: not done after {self._patience.settle:.0f} s: {told()}.",
                    hint="Run the same command again: it goes on from there.",
                )
            self._sleep(pause)
            pause = min(2 * pause, self._patience.poll_most)

    # one call

    def _call(
        self,
        what: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: object = None,
        twice_is_once: bool = True,
    ) -> dict[str, Any]:
        """Return the answer's JSON object ({} for none), repeating what may be repeated.

        twice_is_once: whether the call may be repeated when it is not known if it was carried out.
        """
        began, pause = self._clock(), self._patience.poll
        key, rekeyed = self._key.value(), False
        while True:
            answer = self._send(what, method, path, params, body, key)
            if isinstance(answer, dict):
                return answer
            failure = answer.error
            if failure.status == 401 and not rekeyed:
                rekeyed = True
                newer = self._key.newer_than(key)
                if newer is not None:
                    key = newer
                    continue
            seconds = max(answer.asked, pause)
            may_repeat = failure.status in _ALWAYS_SAFE or (failure.is_passing and twice_is_once)
            if not may_repeat or self._clock() + seconds > began + answer.patience:
                raise failure
            if seconds >= 5:
                self._report(f"{failure.message} Trying again in {seconds:.0f} s.")
            self._sleep(seconds)
            pause = min(2 * pause, 15.0)

    def _send(
        self,
        what: str,
        method: str,
        path: str,
        params: Mapping[str, str | int] | None,
        body: object,
        key: str,
    ) -> dict[str, Any] | _Failure:
        """Return the answer, or why there is none."""
        import httpx

        try:
            response = self._http.request(
                method,
                self._project + path,
                params=params,
                json=body,
                headers={"Authorization": f"Bearer {key}"},
            )
        except (httpx.InvalidURL, httpx.LocalProtocolError, UnicodeError) as error:
            # a key or an id with a line break or an umlaut in it; the text would quote it
            raise SettingsError(
                f"Neon cannot be asked: {type(error).__name__}.",
                hint="Check NEON_API_KEY and NEON_PROJECT_ID.",
            ) from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:  # never sent: as good as a 503
            return _Failure(self._lost(what, error, status=503), self._patience.connect)
        except httpx.RequestError as error:
            return _Failure(self._lost(what, error, status=0), self._patience.retry)
        if not response.is_success:
            return _Failure(_refusal(what, response, key), self._patience.retry, _asked_seconds(response))
        if response.status_code == 204 or not response.content:
            return {}
        try:
            found = response.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise NeonError(
                f"Neon: cannot {what}: the answer is no JSON object.", status=response.status_code,
                hint="Is PENSTOCK_NEON_API_URL the API's address?",
            )  # fmt: skip
        return found

    def _lost(self, what: str, error: httpx.RequestError, status: int) -> NeonError:
        why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return NeonError(
            f"Neon: cannot {what}: no answer from {self._http.base_url.host} ({why}).",
            status=status,
            hint="Check the network and any proxy, then run it again.",
        )


def _refusal(what: str, response: httpx.Response, key: str) -> NeonError:
    """Return Neon's own words with its code and request id; the key is taken out, should it be quoted."""
    try:
        told = response.json()
    except ValueError:
        told = {}
    told = told if isinstance(told, dict) else {}
    message = " ".join(str(told.get("message") or response.reason_phrase).split()).replace(key, "***")
    code = str(told.get("code") or "")
    request_id = str(told.get("request_id") or response.headers.get("x-neon-ret-request-id", ""))
    status = response.status_code
    details = [f"HTTP {status}", code, f"request {request_id}" if request_id else ""]
    hint = _HINTS.get(status, "")
    if status >= 500 and not hint:
        hint = "Neon has a fault, or a proxy before it: neonstatus.com; run it again later."
    return NeonError(
        f"Neon: cannot {what}: {message} ({', '.join(filter(None, details))}).",
        status=status,
        code=code,
        request_id=request_id,
        hint=hint or "Neon's console shows the project's branches and limits; docs/branches.md the rules.",
    )


def _asked_seconds(response: httpx.Response) -> float:
    """Return what Retry-After asks for, in seconds or by a date; 0 where it asks for nothing."""
    text = str(response.headers.get("retry-after", ""))
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        at: datetime = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(0.0, at.timestamp() - datetime.now(UTC).timestamp())


# Neon's JSON -> values


def _of(item: Mapping[str, Any], name: str) -> Any:
    try:
        return item[name]
    except (KeyError, TypeError):
        raise NeonError(
            f"Neon: an answer lacks '{name}'.", hint="Is PENSTOCK_NEON_API_URL the API's address (v2)?"
        ) from None


def _branch(item: Mapping[str, Any]) -> NeonBranch:
    expires = item.get("expires_at")
    size = item.get("logical_size")
    return NeonBranch(
        id=str(_of(item, "id")),
        name=str(_of(item, "name")),
        parent_id=str(item.get("parent_id") or ""),
        state=str(_of(item, "current_state")),
        pending=str(item.get("pending_state") or ""),
        created_at=datetime.fromisoformat(str(_of(item, "created_at"))),
        expires_at=datetime.fromisoformat(expires) if expires else None,
        default=bool(item.get("default", item.get("primary"))),
        protected=bool(item.get("protected")),
        size_bytes=None if size is None else int(size),
    )


def _operation(item: Mapping[str, Any]) -> Operation:
    return Operation(
        id=str(_of(item, "id")),
        branch_id=str(item.get("branch_id") or ""),
        action=str(_of(item, "action")),
        status=str(_of(item, "status")),
        error=" ".join(str(item.get("error") or "").split()),
    )


def _operations(answer: Mapping[str, Any]) -> list[Operation]:
    return [_operation(item) for item in answer.get("operations", [])]


def _told(operation: Operation) -> str:
    return f"{operation.action} {operation.status}" + (f" ({operation.error})" if operation.error else "")


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
