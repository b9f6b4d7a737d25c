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
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from athena_local.catalog import AlreadyExistsError, Catalog, CatalogError, CatalogExtras
from athena_local.config import DEFAULT_DATABASE, Config
from athena_local.journal import journal_of, recover
from athena_local.objects import ObjectStore, StorageError
from athena_local.protocol import athena_errors, glue_errors, lakeformation
from athena_local.protocol.athena import AthenaQueryService
from athena_local.protocol.athena_catalog import AthenaCatalogService
from athena_local.protocol.athena_saved import AthenaSavedQueryService
from athena_local.protocol.athena_workgroups import AthenaWorkgroupService
from athena_local.protocol.glue import GlueService
from athena_local.protocol.glue_extras import GlueExtrasService
from athena_local.protocol.glue_iceberg import IcebergCreator
from athena_local.protocol.glue_partitions import GluePartitionService
from athena_local.protocol.glue_search import GlueSearchService
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
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
# A batch of 100 partitions with a thousand columns each is 10 MB; AWS ends not far above
MAX_BODY_BYTES = 32 * 1024**2


class Services:
    """Everything one server holds, opened together and closed together."""

    def __init__(self, config: Config) -> None:
        self.journal = journal_of(config)
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
        extras = CatalogExtras(self.catalog)
        self.operations: dict[str, dict[str, Operation]] = {
            "AWSGlue": operations_of(
                GlueService(
                    self.catalog, extras, IcebergCreator(config, self.catalog, objects), config.region
                ),
                GluePartitionService(self.catalog),
                GlueSearchService(self.catalog),
                GlueExtrasService(self.catalog, extras, config.region),
            ),
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
            self.journal.close()
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
            if service == "AWSGlue" and name != "GetCatalog":
                glue_errors.check_catalog(request, self.catalog.account_id)
            return known[name](request)
        except CatalogError as error:
            raise ServiceError(error.code, str(error)) from error


def create_app(config: Config, services: Services | None = None) -> Starlette:
    """Return the application; its state lives in `config.data_dir` and is opened here, not at its first request."""
    # Loaded by this thread, which lives as long as the server: once the thread that loaded pyarrow 25 has ended,
    # its allocator crashes the process in each new one (apache/arrow#50471).
    import pyarrow  # noqa: F401

    services = services or Services(config)

    async def serve(request: Request) -> Response:
        target = request.headers.get("x-amz-target", "")
        try:
            return _json(await _answer(services, request, target))
        except ServiceError as error:
            return _error(error)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except StorageError as error:
            log.error("target=%s S3: %s", target, error)
            return _error(ServiceError(_internal(target), str(error), 500))
        except Exception:
            log.exception("target=%s failed in an unforeseen exception", target)
            return _error(ServiceError(_internal(target), "An internal error; see the server's log.", 500))

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        threading.Thread(target=_warm_up, args=(services,), name="warm-up", daemon=True).start()
        yield
        await run_in_threadpool(services.close)

    return Starlette(
        routes=[
            Route("/health", health, methods=["GET"]),
            Route("/{path:path}", serve, methods=METHODS),
        ],
        lifespan=lifespan,
    )


async def _answer(services: Services, request: Request, target: str) -> Record:
    path = request.url.path.strip("/")
    if request.method != "POST":
        raise ServiceError("UnknownOperationException", f"{request.method} is no operation of AWS.", 404)
    if not target and lakeformation.is_operation(path):
        return lakeformation.answer(path)
    content_type = request.headers.get("content-type", "").split(";")[0].strip()
    if content_type != MEDIA_TYPE:
        # AWS does not look for an operation in any other; a signed request of an SDK always has it
        message = f"Content-Type must be {MEDIA_TYPE}, not {content_type or 'missing'}."
        raise ServiceError("UnknownOperationException", message, 404)
    body = await _body(request)
    return await run_in_threadpool(services.answer, target, body)


async def _body(request: Request) -> bytes:
    """Return the body; refuses one above `MAX_BODY_BYTES` without keeping it."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            message = f"The request is larger than {MAX_BODY_BYTES} bytes."
            raise ServiceError("RequestEntityTooLargeException", message, 413)
        parts.append(part)
    return b"".join(parts)


def _internal(target: str) -> str:
    return "InternalServerException" if target.startswith("AmazonAthena") else "InternalServiceException"


def _warm_up(services: Services) -> None:
    """Import what the first query needs, while the server already answers; the query itself tells of any failure."""
    with contextlib.suppress(ImportError):
        import duckdb  # noqa: F401
        import pyarrow.compute  # noqa: F401

        import athena_local.sql
        import athena_local.statements  # noqa: F401
    for model in services.models.values():
        model.load()


def _json(content: Any, status: int = 200, **headers: str) -> Response:
    return Response(
        json.dumps(content),
        status,
        {"x-amzn-RequestId": str(uuid.uuid4()), **headers},
        MEDIA_TYPE,
    )


def _error(error: ServiceError) -> Response:
    content = {"__type": error.code, "Message": str(error), **error.fields}
    return _json(content, error.status, **{"x-amzn-ErrorType": error.code})
