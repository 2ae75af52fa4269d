"""A machine in network namespaces: a host with a pod bridge, pods, and a client outside. Real packets, nothing shared."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from types import TracebackType
from typing import Self

SERVER = """
import socket, sys, threading
name, proto, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
s = socket.socket(socket.AF_INET, kind)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("0.0.0.0", port))
if proto == "tcp":
    s.listen(64)
print("ready", flush=True)
while True:
    if proto == "tcp":
        c, peer = s.accept()
        c.sendall(f"{name} {peer[0]}".encode()); c.close()
    else:
        _, peer = s.recvfrom(512)
        s.sendto(f"{name} {peer[0]}".encode(), peer)
"""

CLIENT = """
import socket, sys
proto, address, port, bind, times, wait = sys.argv[1:]
port, wait = int(port), float(wait)
for _ in range(int(times)):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM)
    s.settimeout(wait)
    try:
        if bind:
            host, _, source_port = bind.partition(":")
            s.bind((host, int(source_port or 0)))
        s.connect((address, port))
        if proto == "udp":
            s.send(b"hello")
        print(s.recv(512).decode() or "closed")
    except (ConnectionRefusedError, PermissionError):
        # The sender of a datagram that its own machine refuses is told by EPERM.
        print("refused")
    except (TimeoutError, socket.timeout):
        print("timeout")
    except OSError as error:
        print("error", error)
    s.close()
"""


def sh(*argv: str, stdin: str | None = None, check: bool = True) -> str:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=30, check=False)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(argv)}: {done.stderr}")
    return done.stdout


class Lab:
    """Namespaces with a name of their own, so that tests may run beside each other."""

    HOST, OUTSIDE = "host", "outside"
    NODE, GATEWAY, CLIENT = "10.98.0.11", "10.244.0.1", "198.51.100.7"

    def __init__(self, pods: tuple[str, ...] = ("a", "b")) -> None:
        self._id = uuid.uuid4().hex[:6]
        self.pods = {name: f"10.244.0.{5 + i}" for i, name in enumerate(pods)}
        self._servers: list[subprocess.Popen[str]] = []

    def ns(self, where: str) -> str:
        return f"clt{self._id}-{where}"

    def prefix(self, where: str = HOST) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.ns(where))

    def on(self, where: str, *argv: str, check: bool = True) -> str:
        return sh(*self.prefix(where), *argv, check=check)

    def __enter__(self) -> Self:
        for where in (self.HOST, self.OUTSIDE, *self.pods):
            sh("ip", "netns", "add", self.ns(where))
            self.on(where, "ip", "link", "set", "lo", "up")
        self.on(self.HOST, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.route_localnet=1")
        for device, address in (("pods0", f"{self.GATEWAY}/24"), ("cloudlet0", f"{self.NODE}/24")):
            self.on(self.HOST, "ip", "link", "add", device, "type", "bridge")
            self.on(self.HOST, "ip", "addr", "add", address, "dev", device)
            self.on(self.HOST, "ip", "link", "set", device, "up")
        for name, address in self.pods.items():
            self._pair(name, f"v{name}", "eth0", f"{address}/24", self.GATEWAY)
            self.on(self.HOST, "ip", "link", "set", f"v{name}", "master", "pods0")
            self.on(self.HOST, "bridge", "link", "set", "dev", f"v{name}", "hairpin", "on")
        self._pair(self.OUTSIDE, "uplink", "eth0", f"{self.CLIENT}/24", "198.51.100.1")
        self.on(self.HOST, "ip", "addr", "add", "198.51.100.1/24", "dev", "uplink")
        self.on(self.HOST, "ip", "route", "add", "default", "via", self.CLIENT)
        return self

    def _pair(self, where: str, outer: str, inner: str, address: str, gateway: str) -> None:
        """A cable from the host to another namespace."""
        self.on(self.HOST, "ip", "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", self.ns(where))
        self.on(self.HOST, "ip", "link", "set", outer, "up")
        self.on(where, "ip", "addr", "add", address, "dev", inner)
        self.on(where, "ip", "link", "set", inner, "up")
        self.on(where, "ip", "route", "add", "default", "via", gateway)

    def serve(self, where: str, port: int, proto: str = "tcp") -> None:
        """Answers every connection with the place's name and the client's address."""
        argv = [*self.prefix(where), sys.executable, "-c", SERVER, where, proto, str(port)]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        self._servers.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

    def ask(
        self,
        where: str,
        address: str,
        port: int,
        proto: str = "tcp",
        *,
        bind: str = "",
        times: int = 1,
        wait: float = 3,
    ) -> list[str]:
        """What the clients got: "NAME PEER", "refused", "timeout"."""
        argv = (proto, address, str(port), bind, str(times), str(wait))
        return self.on(where, sys.executable, "-c", CLIENT, *argv).splitlines()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._servers:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        for where in (self.HOST, self.OUTSIDE, *self.pods):
            sh("ip", "netns", "del", self.ns(where), check=False)


def usable() -> bool:
    return os.geteuid() == 0
