"""A program that answers as an API server does, for tests that stop, kill and end one: `stub.py CERT KEY CA NAME`.

It prints its port. A GET is answered with a pod whose labels tell the server's name, the client's and how often /readyz was
asked; a watch sends one event and stays open; a write to a path with "hang" is reported on standard output and
never answered. SIGUSR1 makes it unready,
SIGUSR2 makes it answer 503, SIGTERM ends watches and the process in order.
"""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import sys
from typing import Any


class Stub:
    def __init__(self, name: str) -> None:
        self.name, self.asked = name, 0
        self.unready = self.refusing = False
        self.stopping = asyncio.Event()
        self.idle: set[asyncio.StreamWriter] = set()
        self.ended = asyncio.Event()
        self.busy = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.busy += 1
        try:
            while not self.stopping.is_set():
                self.idle.add(writer)
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.idle.discard(writer)
                lengths = [line for line in head.lower().splitlines() if line.startswith("content-length:")]
                if lengths:
                    await reader.readexactly(int(lengths[0].split(":")[1]))
                method, path = head.split()[:2]
                await self.answer(method, path, writer)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self.idle.discard(writer)
            writer.close()
            self.busy -= 1
            if self.stopping.is_set() and not self.busy:
                self.ended.set()

    async def answer(self, method: str, path: str, writer: asyncio.StreamWriter) -> None:
        if path == "/readyz":
            self.asked += 1
            reply(writer, 500 if self.unready else 200, {})
        elif self.refusing:
            reply(writer, 503, {"kind": "Status", "reason": "ServiceUnavailable", "message": "shutting down"})
        elif "watch=true" in path:
            event = json.dumps({"type": "MODIFIED", "object": self.pod(writer)}).encode() + b"\n"
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(event), event))
            await self.stopping.wait()
            writer.write(b"0\r\n\r\n")
        elif method != "GET" and "hang" in path:
            print("got a write", flush=True)
            await asyncio.Event().wait()
        elif method == "GET" and path.partition("?")[0].endswith("pods"):
            reply(writer, 200, {"kind": "PodList", "metadata": {"resourceVersion": "1"}, "items": []})
        else:
            reply(writer, 200, self.pod(writer))
        await writer.drain()

    def pod(self, writer: asyncio.StreamWriter) -> dict[str, Any]:
        cert = writer.get_extra_info("peercert") or {}
        user = dict(pair for part in cert.get("subject", ()) for pair in part).get("commonName", "")
        labels = {"server": self.name, "user": user, "asked": str(self.asked)}
        meta = {"name": "a", "namespace": "ns", "resourceVersion": "5", "labels": labels}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": meta}


def reply(writer: asyncio.StreamWriter, status: int, body: dict[str, Any]) -> None:
    data = json.dumps(body).encode()
    writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%s" % (status, len(data), data))


async def main(cert: str, key: str, ca: str, name: str) -> None:
    stub = Stub(name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, setattr, stub, "unready", True)
    loop.add_signal_handler(signal.SIGUSR2, setattr, stub, "refusing", True)
    loop.add_signal_handler(signal.SIGTERM, stub.stopping.set)
    server = await asyncio.start_server(stub.serve, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stub.stopping.wait()
    server.close()
    for writer in tuple(stub.idle):
        writer.close()
    if stub.busy:
        await asyncio.wait_for(stub.ended.wait(), 5)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
