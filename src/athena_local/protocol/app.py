"""The HTTP application: finds the service and operation of a request, runs it, and shapes the answer or the error.

Athena and Glue are AWS JSON 1.1 (`X-Amz-Target: AmazonAthena.StartQueryExecution`), LakeFormation is REST. Signatures are
not checked. An operation that is not implemented answers UnknownOperationException by name.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import threading
import uuid
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from athena_local.catalog import AlreadyExistsError, Catalog, CatalogError
from athena_local.config import DEFAULT_DATABASE, Config
from athena_local.journal import recover
from athena_local.objects import ObjectStore
from athena_local.protocol import athena_errors, glue_errors, lakeformation
from athena_local.protocol.athena import AthenaQueryService
from athena_local.protocol.athena_catalog import AthenaCatalogService
from athena_local.protocol.athena_saved import AthenaSavedQueryService
from athena_local.protocol.athena_workgroups import AthenaWorkgroupService
from athena_local.protocol.glue import GlueService
from athena_local.protocol.glue_partitions import GluePartitionService
from athena_local.protocol.model import ServiceModel
from athena_local.protocol.unavailable import unknown_operation
from athena_local.protocol.wire import Operation, Record, ServiceError, operations_of, parse_body
from athena_local.queries.documents import Documents
from athena_local.queries.executor import Executor
from athena_local.queries.history import History
from athena_local.queries.prepared import StoredStatements
from athena_local.queries.results import ResultStore

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/x-amz-json-1.1"


class Services:
    """Everything one server holds, opened together and closed together."""

    def __init__(self, config: Config) -> None:
        shutil.rmtree(config.spool_dir, ignore_errors=True)
        config.spool_dir.mkdir(parents=True)
        self.catalog = Catalog(config.catalog_path, config.account_id)
        with contextlib.suppress(AlreadyExistsError):
            self.catalog.create_database({"Name": DEFAULT_DATABASE, "Description": "Default database"})
        self.documents = Documents(config.history_path)
        self.history = History(config.history_path)
        ended = self.history.recover()
        if ended:
            log.warning("unfinished queries of the last run ended as FAILED: %d", ended)
        objects = ObjectStore(config)
        results = ResultStore(objects, config.spool_dir / "results")
        recover(config, self.catalog, objects)
        prepared = StoredStatements(self.documents)
        self.executor = Executor(config, self.catalog, objects, self.history, results, prepared)
        workgroups = AthenaWorkgroupService(config, self.documents)
        catalogs = AthenaCatalogService(config, self.catalog, self.documents)
        self.models = {
            "AWSGlue": ServiceModel("glue", glue_errors.RULES),
            "AmazonAthena": ServiceModel("athena", athena_errors.RULES),
        }
        self.operations: dict[str, dict[str, Operation]] = {
            "AWSGlue": operations_of(GlueService(self.catalog), GluePartitionService(self.catalog)),
            "AmazonAthena": operations_of(
                AthenaQueryService(self.executor, self.history, results, workgroups, catalogs),
                workgroups,
                catalogs,
                AthenaSavedQueryService(self.documents, workgroups),
            ),
        }

    def close(self) -> bool:
        """Stop queries and close files; False when a query did not stop in time (its files stay open)."""
        stopped = self.executor.close()
        if stopped:
            self.catalog.close()
            self.documents.close()
            self.history.close()
        return stopped

    def answer(self, target: str, body: bytes) -> Record:
        """Run one operation. Raises ServiceError for whatever the client is to be told."""
        service, _, name = target.partition(".")
        known = self.operations.get(service)
        if known is None or name not in known:
            raise unknown_operation(target)
        request = self.models[service].read(name, parse_body(body))
        try:
            return known[name](request)
        except CatalogError as error:
            raise ServiceError(error.code, str(error)) from error


def create_app(config: Config, services: Services | None = None) -> Starlette:
    """Return the application; its state lives in `config.data_dir` and is opened here, not at its first request."""
    services = services or Services(config)

    async def post(request: Request) -> Response:
        target = request.headers.get("x-amz-target", "")
        path = request.url.path.strip("/")
        body = await request.body()
        try:
            if not target and lakeformation.is_operation(path):
                return _json(lakeformation.answer(path))
            return _json(await run_in_threadpool(services.answer, target, body))
        except ServiceError as error:
            return _error(error)
        except Exception:
            log.exception("target=%s failed in an unforeseen exception", target)
            internal = (
                "InternalServerException" if target.startswith("AmazonAthena") else "InternalServiceException"
            )
            return _error(ServiceError(internal, "An internal error; see the server's log.", 500))

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        threading.Thread(target=_warm_up, name="warm-up", daemon=True).start()
        yield
        await run_in_threadpool(services.close)

    return Starlette(
        routes=[
            Route("/health", health, methods=["GET"]),
            Route("/{path:path}", post, methods=["POST"]),
        ],
        lifespan=lifespan,
    )


def _warm_up() -> None:
    """Import what the first query needs, while the server already answers; the query itself tells of any failure."""
    with contextlib.suppress(ImportError):
        import duckdb  # noqa: F401
        import pyarrow.compute  # noqa: F401

        import athena_local.sql
        import athena_local.statements  # noqa: F401


def _json(content: Any, status: int = 200, **headers: str) -> Response:
    return Response(
        json.dumps(content),
        status,
        {"x-amzn-RequestId": str(uuid.uuid4()), **headers},
        MEDIA_TYPE,
    )


def _error(error: ServiceError) -> Response:
    content = {"__type": error.code, "message": str(error), "Message": str(error), **error.fields}
    return _json(content, error.status, **{"x-amzn-ErrorType": error.code})
