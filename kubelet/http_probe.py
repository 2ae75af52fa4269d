"""One HTTP GET, as a probe or a hook makes it: no client library, since a probe must cost next to nothing.

Follows redirects on the same host, at most ten; a redirect to another host counts as an answer. Certificates are not
checked (a probe asks whether the process answers, not who it is). Source: Kubernetes' "HTTP probes".
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

_REDIRECTS = 10
_BODY_LIMIT = 10 * 1024
_HEAD_LIMIT = 64 * 1024


class ProbeError(Exception):
    """The other side could not be asked, or answered nonsense."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status code and the beginning of the body."""

    status: int
    body: bytes = b""
    location: str = ""


def _insecure() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


_TLS = _insecure()


def _parse_head(head: str) -> tuple[int, dict[str, str]]:
    lines = head.split("\r\n")
    words = lines[0].split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdigit():
        raise ProbeError(f"malformed HTTP response {lines[0]!r}")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return int(words[1]), headers


async def _once(url: str, headers: Sequence[tuple[str, str]]) -> Answer:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    shown = f"[{host}]" if ":" in host else host
    given = {name.lower() for name, _ in headers}
    lines = [f"GET {target} HTTP/1.1"]
    if "host" not in given:
        lines.append(f"Host: {shown}:{port}")
    if "user-agent" not in given:
        lines.append("User-Agent: kube-probe/1.36")
    if "accept" not in given:
        lines.append("Accept: */*")
    lines += [f"{name}: {value}" for name, value in headers if value] + ["Connection: close", "", ""]
    tls = _TLS if parts.scheme == "https" else None
    reader, writer = await asyncio.open_connection(host, port, ssl=tls, limit=_HEAD_LIMIT)
    try:
        writer.write("\r\n".join(lines).encode("latin-1", "replace"))
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        status, found = _parse_head(head[:-4].decode("latin-1"))
        body = b""
        if status >= 400:
            with contextlib.suppress(ConnectionError):
                body = await reader.read(_BODY_LIMIT)
        return Answer(status, body, found.get("location", ""))
    finally:
        writer.close()


async def get(url: str, headers: Sequence[tuple[str, str]], timeout: float) -> Answer:
    """The final answer. `timeout` in seconds covers everything. Raises ProbeError."""
    host = urlsplit(url).hostname
    try:
        async with asyncio.timeout(timeout):
            for _ in range(_REDIRECTS):
                answer = await _once(url, headers)
                if not (300 <= answer.status < 400 and answer.location):
                    return answer
                url = urljoin(url, answer.location)
                if urlsplit(url).hostname != host:
                    return answer
        raise ProbeError(f'Get "{url}": stopped after {_REDIRECTS} redirects')
    except TimeoutError as error:
        raise ProbeError(f'Get "{url}": context deadline exceeded (no answer within {timeout:g} s)') from error
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
        raise ProbeError(f'Get "{url}": {error}') from error
