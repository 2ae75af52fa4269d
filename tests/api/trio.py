"""Three real etcd members on loopback ports, to be killed, stopped, resumed and cut off from one another."""

import contextlib
import re
import shutil
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGCONT, SIGKILL

import httpx

from tests.api.cluster import HOST, free_port, wait_for
from tests.api.pki import Authority

NAMES = ("a", "b", "c")
_FROM = re.compile(rb"x-server-from: *([0-9a-f]+)", re.IGNORECASE)


class Wire:
    """What the other members reach one member by: a port that passes connections on, unless `blocked` says otherwise."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.blocked: set[str] = set()
        """Ids of the members whose connections are refused and cut."""
        self._open: dict[socket.socket, str] = {}
        self._listener = socket.create_server((HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def block(self, *members: str) -> None:
        self.blocked = set(members)
        for end, member in list(self._open.items()):
            if member in self.blocked:
                _shut(end)

    def close(self) -> None:
        _shut(self._listener)
        self._listener.close()
        for end in list(self._open):
            _shut(end)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._pass, args=(near,), daemon=True).start()

    def _pass(self, near: socket.socket) -> None:
        """Both directions of one connection; its first request tells which member has opened it."""
        with near, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                piece = near.recv(65536)
                if not piece:
                    return
                head += piece
            found = _FROM.search(head)
            member = found[1].decode() if found else ""
            self._open[near] = member
            try:
                if member in self.blocked:
                    return
                with socket.create_connection((HOST, self.target)) as far:
                    far.sendall(head)
                    back = threading.Thread(target=_pump, args=(far, near), daemon=True)
                    back.start()
                    _pump(near, far)
                    back.join()
            finally:
                del self._open[near]


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
    _shut(source)
    _shut(sink)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@dataclass
class Trio:
    """The members `a`, `b`, `c`; with an `authority` clients come by TLS with certificates of it."""

    folder: Path
    authority: Authority | None = None
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in NAMES})
    peers: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in NAMES})
    metrics: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in NAMES})
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.wires = {name: Wire(self.peers[name]) for name in NAMES}
        if self.authority:
            self.authority.issue("etcd", "etcd", hosts=(HOST, "localhost"))

    def url(self, name: str) -> str:
        return f"{'https' if self.authority else 'http'}://{HOST}:{self.ports[name]}"

    def urls(self, first: str = "a") -> str:
        """All members for --etcd-servers, with this one first."""
        return ",".join(map(self.url, sorted(NAMES, key=lambda name: name != first)))

    def start(self) -> None:
        for name in NAMES:
            self.launch(name)
        for name in NAMES:
            self.wait(name)

    def launch(self, name: str) -> None:
        """Start a member without waiting for it."""
        cluster = ",".join(f"{each}=http://{HOST}:{self.wires[each].port}" for each in NAMES)
        arguments = [
            "etcd", "--name", name, "--data-dir", str(self.folder / f"etcd-{name}"),
            "--listen-client-urls", self.url(name), "--advertise-client-urls", self.url(name),
            "--listen-peer-urls", f"http://{HOST}:{self.peers[name]}",
            "--initial-advertise-peer-urls", f"http://{HOST}:{self.wires[name].port}", "--initial-cluster", cluster,
            "--listen-metrics-urls", f"http://{HOST}:{self.metrics[name]}",
            "--unsafe-no-fsync", "--logger", "zap", "--log-level", "warn",
        ]  # fmt: skip
        if self.authority:
            pki = self.authority.folder
            arguments += [
                "--cert-file", f"{pki}/etcd.crt", "--key-file", f"{pki}/etcd.key",
                "--trusted-ca-file", f"{pki}/ca.crt", "--client-cert-auth",
            ]  # fmt: skip
        with (self.folder / f"etcd-{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(arguments, stdout=log, stderr=log)

    def wait(self, name: str) -> None:
        """Wait until a member is in a cluster that has a leader."""
        url = f"http://{HOST}:{self.metrics[name]}/health"
        wait_for(self.processes[name], url, None, self.folder / f"etcd-{name}.log")

    def _metrics(self, name: str) -> str:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"http://{HOST}:{self.metrics[name]}/metrics", timeout=2).text
        return ""

    def leader(self, without: str = "", seconds: float = 20) -> str:
        """The member that leads; `without` is not asked (one that is cut off still believes that it leads)."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for name in NAMES:
                running = name in self.processes and name != without
                if running and "etcd_server_is_leader 1" in self._metrics(name):
                    return name
        raise AssertionError(f"no etcd member leads after {seconds} s")

    def send(self, name: str, number: int) -> None:
        self.processes[name].send_signal(number)

    def kill(self, name: str, number: int = SIGKILL) -> None:
        process = self.processes.pop(name)
        process.send_signal(SIGCONT)
        process.send_signal(number)
        process.wait(20)

    def isolate(self, name: str) -> None:
        """Cut one member off from the others, both ways; clients still reach it."""
        others = [each for each in NAMES if each != name]
        for each in others:
            self.wires[each].block(self._identity(name))
        self.wires[name].block(*map(self._identity, others))

    def _identity(self, name: str) -> str:
        found = re.search(r'etcd_server_id\{server_id="([0-9a-f]+)"\} 1', self._metrics(name))
        assert found, f"etcd member {name} does not tell its id"
        return found[1]

    def heal(self) -> None:
        for wire in self.wires.values():
            wire.block()

    def close(self) -> None:
        for name in list(self.processes):
            self.kill(name)
        for wire in self.wires.values():
            wire.close()
        for name in NAMES:
            shutil.rmtree(self.folder / f"etcd-{name}", ignore_errors=True)
