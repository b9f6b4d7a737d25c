"""URLs, taken apart as java.net.URI takes them: what is no URI gives NULL."""

from __future__ import annotations

import re
import urllib.parse

from athena_local.sql.functions.native.registry import InvalidError, native

_URI = re.compile(r"(?:([A-Za-z][\w+.-]*):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)
_NEVER = re.compile(r'[\s"<>\\^`{|}]|%(?![0-9A-Fa-f]{2})')
_AUTHORITY = re.compile(r"(?:[^@]*@)?(\[[^\]]*\]|[^:@]*)(?::(\d*))?")


def _parts(url: str) -> tuple[str | None, ...] | None:
    if _NEVER.search(url):
        return None
    match = _URI.fullmatch(url)
    return match.groups() if match else None


@native("VARCHAR", "VARCHAR")
def url_extract_protocol(url: str) -> str | None:
    parts = _parts(url)
    return None if parts is None else parts[0] or ""


@native("VARCHAR", "VARCHAR")
def url_extract_host(url: str) -> str | None:
    parts = _parts(url)
    if parts is None:
        return None
    match = _AUTHORITY.fullmatch(parts[1] or "")
    return match[1] if match else ""


@native("BIGINT", "VARCHAR")
def url_extract_port(url: str) -> int | None:
    parts = _parts(url)
    match = _AUTHORITY.fullmatch(parts[1] or "") if parts else None
    return int(match[2]) if match and match[2] else None


@native("VARCHAR", "VARCHAR")
def url_extract_path(url: str) -> str | None:
    parts = _parts(url)
    return None if parts is None else urllib.parse.unquote(parts[2] or "")


@native("VARCHAR", "VARCHAR")
def url_extract_query(url: str) -> str | None:
    parts = _parts(url)
    return None if parts is None else urllib.parse.unquote(parts[3] or "")


@native("VARCHAR", "VARCHAR")
def url_extract_fragment(url: str) -> str | None:
    parts = _parts(url)
    return None if parts is None else urllib.parse.unquote(parts[4] or "")


@native("VARCHAR", "VARCHAR", "VARCHAR")
def url_extract_parameter(url: str, name: str) -> str | None:
    parts = _parts(url)
    if parts is None or parts[3] is None:
        return None
    for item in parts[3].split("&"):
        key, _, value = item.partition("=")
        if key == name:
            return urllib.parse.unquote(value)
    return None


@native("VARCHAR", "VARCHAR")
def url_encode(text: str) -> str:
    return urllib.parse.quote_plus(text, safe="*").replace("~", "%7E")


@native("VARCHAR", "VARCHAR")
def url_decode(text: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise InvalidError("URLDecoder: Illegal hex characters in escape (%) pattern")
    return urllib.parse.unquote_plus(text)
