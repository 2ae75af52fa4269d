"""What probes and lifecycle hooks do: run a program in the container, or knock at one of its ports."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from api.types import Object
from kubelet import grpc_probe, http_probe
from kubelet.http_probe import ProbeError
from kubelet.runtime import EngineDown, Runtime, RuntimeFault

_OUTPUT_LIMIT = 10 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """The running container that is asked, and the address its ports are at."""

    container_id: str
    container: Object
    address: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether the handler succeeded, and its output or error."""

    ok: bool
    message: str = ""


async def execute(runtime: Runtime, container_id: str, argv: Sequence[str], timeout: float | None) -> tuple[int, bytes]:
    """Exit code and the beginning of the output of a program run in a container.

    Raises TimeoutError, RuntimeFault; a program that is late is left behind, as the engine cannot end it.
    """
    async with asyncio.timeout(timeout):
        stream = await runtime.exec(container_id, argv)
        try:
            output = b""
            while (piece := await stream.read()) is not None:
                if len(output) < _OUTPUT_LIMIT:
                    output += piece[1]
            return await stream.exit_code(), output[:_OUTPUT_LIMIT]
        finally:
            await stream.close()


def port_number(container: Object, port: int | str) -> int:
    """A port given by number or by the name of a container port. Raises ProbeError."""
    if isinstance(port, int) or str(port).isdigit():
        return int(port)
    for entry in container.get("ports") or ():
        if entry.get("name") == port:
            return int(entry["containerPort"])
    raise ProbeError(f"couldn't find port: {port}")


def url(spec: Object, target: Target) -> str:
    """The address an httpGet action asks."""
    host = spec.get("host") or target.address
    shown = f"[{host}]" if ":" in host else host
    path = spec.get("path") or "/"
    scheme = (spec.get("scheme") or "HTTP").lower()
    number = port_number(target.container, spec["port"])
    return f"{scheme}://{shown}:{number}{path if path.startswith('/') else '/' + path}"


async def _http(spec: Object, target: Target, timeout: float) -> Outcome:
    headers = [(h["name"], h.get("value") or "") for h in spec.get("httpHeaders") or ()]
    answer = await http_probe.get(url(spec, target), headers, timeout)
    if 200 <= answer.status < 400:
        return Outcome(True)
    return Outcome(False, f"HTTP probe failed with statuscode: {answer.status}")


async def _tcp(spec: Object, target: Target, timeout: float) -> Outcome:
    host, port = spec.get("host") or target.address, port_number(target.container, spec["port"])
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Outcome(False, f"dial tcp {host}:{port}: i/o timeout")
    except OSError as error:
        return Outcome(False, f"dial tcp {host}:{port}: {error.strerror or error}")
    writer.close()
    return Outcome(True)


async def _exec(runtime: Runtime, spec: Object, target: Target, timeout: float) -> Outcome:
    try:
        code, output = await execute(runtime, target.container_id, spec.get("command") or (), timeout)
    except TimeoutError:
        return Outcome(False, f'command "{" ".join(spec.get("command") or ())}" timed out')
    text = output.decode(errors="replace")
    return Outcome(code == 0, text if code == 0 else text or f"exit code {code}")


async def run(runtime: Runtime, action: Object, target: Target, timeout: float) -> Outcome:
    """Do what a probe or hook says; `timeout` in seconds. Raises EngineDown, which says nothing about the container."""
    try:
        if spec := action.get("exec"):
            return await _exec(runtime, spec, target, timeout)
        if spec := action.get("httpGet"):
            return await _http(spec, target, timeout)
        if spec := action.get("tcpSocket"):
            return await _tcp(spec, target, timeout)
        if spec := action.get("grpc"):
            ok, text = await grpc_probe.check(target.address, int(spec["port"]), spec.get("service") or "", timeout)
            return Outcome(ok, text)
        if spec := action.get("sleep"):
            await asyncio.sleep(min(float(spec["seconds"]), timeout))
            return Outcome(True)
    except EngineDown:
        raise
    except (ProbeError, RuntimeFault) as error:
        return Outcome(False, str(error))
    return Outcome(False, "missing handler")
