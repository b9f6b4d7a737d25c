"""`athena-local`: one server from the command line. Refuses a data directory that another server is using."""

from __future__ import annotations

import argparse
import errno
import fcntl
import ipaddress
import logging
import os
import re
import signal
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

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
S3_PROBE_SECONDS = 3
REFUSED, DATA_DIR_IN_USE = 1, 3  # exit codes; argparse's own for a bad flag is 2


def main(arguments: list[str] | None = None) -> int:
    config = _config(_parser().parse_args(arguments))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        config.data_dir.mkdir(parents=True, exist_ok=True)
        lock = _lock(config.data_dir)
    except OSError as error:
        return _refuse(f"--data-dir {config.data_dir} cannot be written: {error.strerror}")
    if lock is None:
        _refuse(f"--data-dir {config.data_dir} is in use by another server")
        return DATA_DIR_IN_USE
    with lock:
        return _serve(config)


def _refuse(reason: str) -> int:
    print(f"athena-local: {reason}", file=sys.stderr)
    return REFUSED


def _serve(config: Config) -> int:
    import uvicorn

    from athena_local.protocol.app import Services, create_app

    try:
        listener = _listen(config)
    except OSError as error:
        hint = " (without --port a free one is taken)" if error.errno == errno.EADDRINUSE else ""
        return _refuse(f"cannot listen on {config.host}:{config.port}: {error.strerror}{hint}")
    host, port = listener.getsockname()[:2]
    if not _is_loopback(config.host):
        print(
            f"athena-local: WARNING: listening on {config.host}, beyond this machine. Nothing is authenticated:"
            f" whoever reaches port {port} can read and delete every table and file.",
            file=sys.stderr,
        )
    try:
        services = Services(config)
    except (OSError, sqlite3.Error) as error:
        return _refuse(f"--data-dir {config.data_dir} cannot be used: {error}")
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
    threading.Thread(target=_look_for_s3, args=(config,), name="s3-probe", daemon=True).start()
    shown = f"[{host}]" if ":" in host else host
    print(f"athena-local: http://{shown}:{port} (S3 at {config.s3_endpoint})", flush=True)
    server.run(sockets=[listener])
    if not services.executor.idle:  # its thread would keep the process; the next start reports it FAILED
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    return 0


def _look_for_s3(config: Config) -> None:
    """Warn when nothing answers at the S3 endpoint: it may still be starting, so the server serves all the same."""
    parts = urlsplit(config.s3_endpoint)
    try:
        address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        socket.create_connection(address, S3_PROBE_SECONDS).close()
    except OSError as error:
        print(
            f"athena-local: WARNING: S3 at {config.s3_endpoint} cannot be reached ({error}); queries fail until it can",
            file=sys.stderr,
            flush=True,
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="athena-local",
        description="A local Amazon Athena and Glue Data Catalog beside any S3 endpoint.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--s3-endpoint", required=True, type=_url, metavar="URL", help="where S3 answers")
    add(
        "--data-dir",
        required=True,
        type=Path,
        metavar="DIR",
        help="catalog, history and scratch; made if it is not there, one server each",
    )
    add("--host", default=Config.host, help="address to bind (default %(default)s; nothing is authenticated)")
    add(
        "--port",
        default=0,
        type=_number(0, 65_535),
        metavar="PORT",
        help="port to bind (default: a free one, printed)",
    )
    add(
        "--memory",
        default=Config.memory_limit_bytes,
        type=_size,
        metavar="SIZE",
        help="what all queries share, 128m or more; above it they spill to disk (default 2g)",
    )
    add("--threads", type=_number(1, 256), metavar="N", help="of one query (default: all cores)")
    add(
        "--max-running-queries",
        type=_number(1, 64),
        default=Config.max_running_queries,
        metavar="N",
        help="at once, 1 to 64; the rest queue (default %(default)s)",
    )
    add(
        "--account-id",
        type=_account_id,
        default=Config.account_id,
        help="twelve digits (default %(default)s)",
    )
    add("--region", default=Config.region, help="(default %(default)s)")
    add("--access-key", default=Config.access_key, help="for S3 (default %(default)s)")
    add("--secret-key", default=Config.secret_key, help="for S3 (default: any will do for a local one)")
    return parser


_EXAMPLE = """\
example:
  athena-local --s3-endpoint http://127.0.0.1:4566 --data-dir .athena --port 8800
  export AWS_ENDPOINT_URL_S3=http://127.0.0.1:4566 AWS_ENDPOINT_URL_ATHENA=http://127.0.0.1:8800 \\
         AWS_ENDPOINT_URL_GLUE=http://127.0.0.1:8800
  aws athena start-query-execution --query-string "select 1" \\
         --result-configuration OutputLocation=s3://results/

It prints its address when it is ready; GET /health answers from then on. SIGTERM or Ctrl-C cancels what runs and closes the
files; after kill -9 the next start cleans up. Exit codes: 0 stopped, 1 cannot start, 2 a bad flag, 3 DIR is in use.
"""


def _config(options: argparse.Namespace) -> Config:
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


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise argparse.ArgumentTypeError(f"not a URL: {text!r} (like http://127.0.0.1:4566)")
    return text.rstrip("/")


def _account_id(text: str) -> str:
    if not re.fullmatch(r"[0-9]{12}", text):
        raise argparse.ArgumentTypeError(f"not twelve digits: {text!r}")
    return text


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"not a number from {least} to {most}: {text!r}")
        return int(text)

    return parse


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
