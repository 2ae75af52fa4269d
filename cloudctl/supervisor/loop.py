"""The supervisor's one event loop: control connections, notifications, exits and timers over a selector.

The control socket speaks lines of JSON. A connection is first sent the description of every daemon, then every change.
It may send `{"op": "start", "spec": …}`, `{"op": "stop", "name": …}`, `{"op": "restart", "name": …}`, `{"op": "remove",
"name": …}` and `{"op": "quit"}`; what comes of it is seen as changes, a request that makes no sense as `{"error": …}`.
"""

from __future__ import annotations

import json
import selectors
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cloudctl.supervisor.process import Process
from cloudctl.supervisor.spec import Spec

LONGEST_LINE = 1 << 20


class Supervisor:
    """All daemons of one cluster. `run_dir` holds the control socket, pid files and the list of daemons to run."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._specs_path = run_dir / "daemons.json"
        self._processes: dict[str, Process] = {}
        self._restarting: set[str] = set()
        self._removing: set[str] = set()
        self._clients: dict[socket.socket, bytearray] = {}
        self._selector = selectors.DefaultSelector()
        self._quitting = False
        self._control = self._listen(run_dir / "supervisor.sock")
        self._signals, self._signal_writer = socket.socketpair()

    def _listen(self, path: Path) -> socket.socket:
        path.unlink(missing_ok=True)
        control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        control.bind(str(path))
        path.chmod(0o600)
        control.listen(8)
        control.setblocking(False)
        return control

    def run(self) -> None:
        """Serve until told to quit; SIGTERM and SIGINT stop the daemons in reverse order first."""
        self._signal_writer.setblocking(False)
        signal.set_wakeup_fd(self._signal_writer.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        self._register(self._control, self._accept)
        self._register(self._signals, self._signalled)
        self._resume()
        while not (self._quitting and all(p.state == "stopped" for p in self._processes.values())):
            for key, _ in self._selector.select(self._until_next_timer()):
                callback: Callable[[], None] = key.data
                callback()
            self._run_timers()
        self._close()

    def _register(self, source: Any, callback: Callable[[], None]) -> None:
        self._selector.register(source, selectors.EVENT_READ, callback)

    def _resume(self) -> None:
        """Adopt or start what an earlier supervisor of this cluster was asked to run."""
        if self._specs_path.exists():
            for data in json.loads(self._specs_path.read_text()):
                self._start(Spec.from_json(data))

    # Daemons

    def _start(self, spec: Spec) -> None:
        process = self._processes.get(spec.name)
        if process is None:
            process = self._processes[spec.name] = Process(spec, self._run_dir)
            self._register(process.notifications, lambda: self._notified(process))
        process.spec = spec
        self._save()
        if process.state in ("stopped", "backoff"):
            self._launch(process)
        else:
            self._tell(process)

    def _launch(self, process: Process) -> None:
        try:
            process.start(time.monotonic())
        except OSError as error:
            self._broadcast({"error": f"{process.spec.name}: {error}"})
            return
        self._register(process.pidfd, lambda: self._exited(process))
        self._tell(process)

    def _notified(self, process: Process) -> None:
        if process.receive(time.monotonic()):
            self._tell(process)

    def _exited(self, process: Process) -> None:
        self._selector.unregister(process.pidfd)
        process.exited(time.monotonic())
        self._tell(process)
        if process.state == "stopped":
            self._stopped(process)

    def _stopped(self, process: Process) -> None:
        """A daemon that was told to stop has done so."""
        name = process.spec.name
        if name in self._restarting:
            self._restarting.discard(name)
            self._launch(process)
        elif name in self._removing:
            self._removing.discard(name)
            self._selector.unregister(process.notifications)
            process.close()
            del self._processes[name]
        if self._quitting:
            self._stop_next()

    def _run_timers(self) -> None:
        now = time.monotonic()
        for process in self._processes.values():
            if process.timer(now):
                self._launch(process)

    def _until_next_timer(self) -> float | None:
        deadlines = [p.wake_at for p in self._processes.values() if p.wake_at is not None]
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _quit(self) -> None:
        if not self._quitting:
            self._quitting = True
            self._stop_next()

    def _stop_next(self) -> None:
        """Stop the daemons of the highest order that still run; the rest follows as these exit."""
        while left := [p for p in self._processes.values() if p.state != "stopped"]:
            highest = max(p.spec.order for p in left)
            group = [p for p in left if p.spec.order == highest]
            for process in group:
                if process.state != "stopping":
                    process.stop(time.monotonic())
                    self._tell(process)
            if any(p.state != "stopped" for p in group):
                return

    # The control socket

    def _accept(self) -> None:
        client, _ = self._control.accept()
        client.settimeout(1.0)
        self._clients[client] = bytearray()
        self._register(client, lambda: self._read(client))
        self._send(client, {"snapshot": [p.describe() for p in self._processes.values()]})

    def _read(self, client: socket.socket) -> None:
        if client not in self._clients:
            return  # it hung up, was noticed while another was told of a change, and was readable in the same round
        try:
            data = client.recv(65536)
        except OSError:
            data = b""
        buffer = self._clients[client]
        buffer += data
        if not data or len(buffer) > LONGEST_LINE:
            self._drop(client)
            return
        while b"\n" in buffer and client in self._clients:
            line, _, rest = bytes(buffer).partition(b"\n")
            buffer[:] = rest
            try:
                self._obey(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                self._send(client, {"error": f"bad request: {error!r}"})

    def _obey(self, request: dict[str, Any]) -> None:
        operation = request["op"]
        if operation == "start":
            self._start(Spec.from_json(request["spec"]))
        elif operation == "quit":
            self._quit()
        elif operation in ("stop", "restart", "remove"):
            process = self._processes[request["name"]]
            if operation == "restart":
                self._restarting.add(process.spec.name)
            elif operation == "remove":
                self._removing.add(process.spec.name)
                self._save()
            process.stop(time.monotonic())
            self._tell(process)
            if process.state == "stopped":
                self._stopped(process)
        else:
            raise ValueError(f"unknown operation {operation}")

    def _save(self) -> None:
        """Write down what a supervisor that comes after this one's sudden death shall run."""
        specs = [p.spec.to_json() for name, p in self._processes.items() if name not in self._removing]
        partial = self._specs_path.with_suffix(".tmp")
        partial.write_text(json.dumps(specs))
        partial.chmod(0o600)
        partial.replace(self._specs_path)

    def _tell(self, process: Process) -> None:
        self._broadcast({"changed": process.describe()})

    def _broadcast(self, message: dict[str, Any]) -> None:
        for client in list(self._clients):
            self._send(client, message)

    def _send(self, client: socket.socket, message: dict[str, Any]) -> None:
        try:
            client.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self._drop(client)

    def _drop(self, client: socket.socket) -> None:
        if self._clients.pop(client, None) is not None:
            self._selector.unregister(client)
            client.close()

    def _signalled(self) -> None:
        self._signals.recv(64)
        self._quit()

    def _close(self) -> None:
        for process in self._processes.values():
            process.close()
        self._control.close()
        for name in ("supervisor.sock", "supervisor.pid", "daemons.json"):
            (self._run_dir / name).unlink(missing_ok=True)
        # Whoever waits for our end sees it by this, so it comes last.
        for client in list(self._clients):
            self._drop(client)
        signal.set_wakeup_fd(-1)
