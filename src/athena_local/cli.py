"""`athena-local`: one server from the command line. Refuses a data directory that another server is using."""

from __future__ import annotations

import argparse
import fcntl
import ipaddress
import logging
import os
import re
import signal
import socket
import sys
from pathlib import Path
from typing import IO

from athena_local.config import Config

_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_SIZE = re.compile(r"(\d+)\s*([kmg]?)(?:i?b)?", re.IGNORECASE)
MIN_MEMORY_BYTES = (
    128 * 1024**2
)  # one query's least part (engine/memory.py): below it operators fail instead of spilling
SHUTDOWN_SECONDS = 5
KEEP_ALIVE_SECONDS = (
    120  # past the pause between two polls of a patient client, so that it reuses its connection
)
DATA_DIR_IN_USE = 3


def main(arguments: list[str] | None = None) -> int:
    config = _config(_parser().parse_args(arguments))
    # Arrow's own allocator crashes in threads that are older than its library, which is loaded while the server runs
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    config.data_dir.mkdir(parents=True, exist_ok=True)
    lock = _lock(config.data_dir)
    if lock is None:
        print(f"athena-local: {config.data_dir} is in use by another server", file=sys.stderr)
        return DATA_DIR_IN_USE
    with lock:
        return _serve(config)


def _serve(config: Config) -> int:
    import uvicorn

    from athena_local.protocol.app import Services, create_app

    try:
        listener = _listen(config)
    except OSError as error:
        print(f"athena-local: cannot listen on {config.host}:{config.port}: {error}", file=sys.stderr)
        return 1
    host, port = listener.getsockname()[:2]
    if not _is_loopback(config.host):
        print(
            f"athena-local: WARNING: listening on {config.host}, beyond this machine. Nothing is authenticated:"
            f" whoever reaches port {port} can read and delete every table and file.",
            file=sys.stderr,
        )
    services = Services(config)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(config, services),
            log_level="warning",
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
    )
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them again once it has stopped
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    shown = f"[{host}]" if ":" in host else host
    print(f"athena-local: http://{shown}:{port} (S3 at {config.s3_endpoint})", flush=True)
    server.run(sockets=[listener])
    if not services.executor.idle:  # its thread would keep the process; the next start reports it FAILED
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="athena-local", description="A local Amazon Athena and Glue Data Catalog beside any S3 endpoint."
    )
    parser.add_argument("--s3-endpoint", required=True, metavar="URL", help="where S3 answers")
    parser.add_argument(
        "--data-dir", required=True, type=Path, metavar="DIR", help="catalog, history and scratch"
    )
    parser.add_argument("--host", default=Config.host, help="address to bind (default %(default)s)")
    parser.add_argument("--port", default=0, type=int, help="port to bind (default: a free one)")
    parser.add_argument(
        "--memory",
        default=Config.memory_limit_bytes,
        type=_size,
        metavar="SIZE",
        help="for queries: 2g, 512m",
    )
    parser.add_argument("--threads", type=int, help="of one query (default: all cores)")
    parser.add_argument(
        "--max-running-queries", type=int, default=Config.max_running_queries, help="the rest queue"
    )
    parser.add_argument("--account-id", default=Config.account_id, help="twelve digits (default %(default)s)")
    parser.add_argument("--region", default=Config.region, help="(default %(default)s)")
    parser.add_argument("--access-key", default=Config.access_key, help="for S3 (default %(default)s)")
    parser.add_argument("--secret-key", default=Config.secret_key, help="for S3")
    return parser


def _config(options: argparse.Namespace) -> Config:
    if not 1 <= options.max_running_queries <= 64:
        _parser().error("--max-running-queries must be between 1 and 64")
    return Config(
        data_dir=options.data_dir.resolve(),
        s3_endpoint=options.s3_endpoint,
        host=options.host,
        port=options.port,
        region=options.region,
        account_id=options.account_id,
        access_key=options.access_key,
        secret_key=options.secret_key,
        max_running_queries=options.max_running_queries,
        memory_limit_bytes=options.memory,
        threads=options.threads,
    )


def _size(text: str) -> int:
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"not a size: {text!r} (like 2g or 512m)")
    size = int(match[1]) * _UNITS[match[2].lower()]
    if size < MIN_MEMORY_BYTES:
        raise argparse.ArgumentTypeError(f"{text!r} is less than 128m")
    return size


def _lock(data_dir: Path) -> IO[str] | None:
    """Return the held lock file, or None when another process holds it. The kernel frees it however a process ends."""
    file = (data_dir / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _listen(config: Config) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((config.host, config.port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
