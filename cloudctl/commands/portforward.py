"""`port-forward`: local ports that lead to ports of a pod."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import typer
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from api import resources
from api.errors import ApiError
from api.types import Object
from cloudctl import podchoice
from cloudctl.app import Verb, family
from cloudctl.faults import Fault, sentence
from cloudctl.session import Session, execute
from cloudctl.streams import CHUNK, V4, dial

cli = family()


@dataclass(frozen=True)
class Forward:
    """A local port (0 for any) and the pod's."""

    local: int
    remote: str

    @classmethod
    def parse(cls, word: str) -> Forward:
        """`REMOTE`, `LOCAL:REMOTE` or `:REMOTE`. Raises Fault."""
        local, colon, remote = word.rpartition(":")
        if not colon:
            local = word
        if (local and not local.isdigit()) or not remote:
            if not colon and remote:
                return cls(0, remote)
            raise Fault(f"invalid port format {word!r}: write LOCAL:REMOTE")
        return cls(int(local or 0), remote)


@cli.command("port-forward", cls=Verb)
def command(
    ctx: typer.Context,
    word: Annotated[str, typer.Argument(metavar="POD | TYPE/NAME")],
    ports: Annotated[list[str], typer.Argument(metavar="[LOCAL:]REMOTE ...")],
    address: Annotated[str, typer.Option("--address", help="Where to listen")] = "127.0.0.1",
) -> None:
    """Forward one or more local ports to a pod, until interrupted."""
    forwards = [Forward.parse(port) for port in ports]

    async def main(session: Session) -> None:
        pod = await podchoice.choose(session, word)
        async with contextlib.AsyncExitStack() as stack:
            for forward in forwards:
                number = await _number(session, word, pod, forward.remote)
                server = await asyncio.start_server(partial(_connection, session, pod, number), address, forward.local)
                await stack.enter_async_context(server)
                local = server.sockets[0].getsockname()[1]
                session.say(f"Forwarding from {address}:{local} -> {number}")
            await asyncio.Event().wait()

    execute(ctx, main)


async def _number(session: Session, word: str, pod: Object, port: str) -> int:
    """The pod's port that is meant: a number, a name, or a service's port."""
    target: int | str = int(port) if port.isdigit() else port
    kind = word.partition("/")[0] if "/" in word else ""
    if kind and await session.resolver.resource(kind) == resources.SERVICES:
        service = await session.client.get(resources.SERVICES, word.partition("/")[2], session.namespace)
        for entry in service["spec"].get("ports") or ():
            if target in (entry["port"], entry.get("name")):
                target = entry.get("targetPort") or entry["port"]
                break
        else:
            raise Fault(f"service {word} has no port {port}")
    if isinstance(target, int):
        return target
    for container in pod["spec"]["containers"]:
        for entry in container.get("ports") or ():
            if entry.get("name") == target:
                return int(entry["containerPort"])
    raise Fault(f"pod {pod['metadata']['name']} has no port named {target}")


async def _connection(
    session: Session, pod: Object, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """One local connection: a WebSocket of its own with a data and an error channel (0 and 1)."""
    meta = pod["metadata"]
    path = resources.PODS.path(meta["namespace"], meta["name"], "portforward")
    session.say(f"Handling connection for {port}")
    try:
        socket = await dial(session.client, path, [("ports", str(port))], (V4,))
    except ApiError as error:
        session.warn(sentence(error))
        writer.close()
        return
    upward = asyncio.create_task(_upward(reader, socket))
    try:
        await _downward(session, socket, writer)
    finally:
        upward.cancel()
        writer.close()
        await socket.close()


async def _upward(reader: asyncio.StreamReader, socket: ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        while chunk := await reader.read(CHUNK):
            await socket.send(b"\0" + chunk)
        await socket.close()


async def _downward(session: Session, socket: ClientConnection, writer: asyncio.StreamWriter) -> None:
    greeted: set[int] = set()
    with contextlib.suppress(ConnectionClosed, ConnectionError):
        async for message in socket:
            data = message.encode() if isinstance(message, str) else message
            channel, payload = data[0], data[1:]
            # The first frame of each channel names the port, two bytes, little endian.
            if channel not in greeted:
                greeted.add(channel)
                payload = payload[struct.calcsize("<H") :]
            if channel == 0 and payload:
                writer.write(payload)
                await writer.drain()
            elif payload:
                session.warn(f"error: {payload.decode('utf-8', 'replace')}")
