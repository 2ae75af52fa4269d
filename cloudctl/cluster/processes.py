"""The CLI's side of the supervisor: start it, tell it what to run, and wait for what happens. Nothing here polls."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from cloudctl.cluster.state import Cluster, ClusterError
from cloudctl.supervisor.spec import Spec

# A daemon that ends this often before it was ready will not get ready.
ATTEMPTS = 4
_LONGEST_SOCKET_PATH = 100


def launch_supervisor(cluster: Cluster) -> None:
    """Start the cluster's supervisor, detached; returns when it listens. Does nothing when one runs."""
    longest = cluster.run / "kubelet-node-100.notify"
    if len(str(longest)) > _LONGEST_SOCKET_PATH:
        raise ClusterError(
            f"the path of the state folder is too long for sockets: {cluster.home}; use a shorter --state"
        )
    packages = str(Path(__file__).resolve().parents[2])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (packages, os.environ.get("PYTHONPATH", ""))))}
    with (cluster.logs / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cloudctl.supervisor", str(cluster.run)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            env=env,
            cwd="/",
        )
    if process.stdout:
        process.stdout.readline()
        process.stdout.close()
    process.poll()
    # The process outlives us on purpose; without this the interpreter complains at exit.
    process.returncode = process.returncode or 0


class Supervision:
    """A connection to a cluster's supervisor. `states` is what it last said of each daemon, by name."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.states: dict[str, dict[str, Any]] = {}
        self._reader, self._writer = reader, writer
        self._changed = asyncio.Condition()
        self._error = ""
        self._tolerated: dict[str, int] = {}
        self._listener: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, cluster: Cluster) -> Self | None:
        """Talk to the running supervisor; None when none runs."""
        try:
            reader, writer = await asyncio.open_unix_connection(str(cluster.run / "supervisor.sock"))
        except OSError:
            return None
        supervision = cls(reader, writer)
        line = await asyncio.wait_for(reader.readline(), 10)
        for state in json.loads(line)["snapshot"]:
            supervision.states[state["name"]] = state
        supervision._listener = asyncio.create_task(supervision._listen())
        return supervision

    async def close(self) -> None:
        """Hang up; the supervisor goes on."""
        if self._listener:
            self._listener.cancel()
        self._writer.close()

    async def start(self, spec: Spec, *, afresh: bool = False) -> None:
        """Have a daemon running with these flags; `afresh` starts it again if it does already."""
        state = self.states.get(spec.name, {})
        running = state.get("state") in ("starting", "ready")
        self._tolerated[spec.name] = state.get("restarts", 0) + ATTEMPTS - 1
        await self._request({"op": "start", "spec": spec.to_json()})
        if running and (afresh or state["argv"] != list(spec.argv)):
            await self._request({"op": "restart", "name": spec.name})
            self.states[spec.name] = {**self.states[spec.name], "state": "stopping"}

    async def wait_ready(self, name: str, timeout: float) -> None:
        """Return when the daemon has said that it is ready. Raises ClusterError with the end of its log when it cannot."""
        await self.wait(lambda: self._is_ready(name), timeout, lambda: f"{name} is not ready after {timeout:g} s")

    async def wait(self, predicate: Callable[[], bool], timeout: float, complaint: Callable[[], str]) -> None:
        """Wait for the daemons' states to satisfy `predicate`; raises ClusterError with `complaint` after `timeout` s."""
        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(predicate), timeout)
            except TimeoutError as error:
                raise ClusterError(complaint()) from error

    async def remove(self, name: str, timeout: float) -> None:
        """Stop a daemon for good; returns when it has ended."""
        await self._request({"op": "remove", "name": name})
        await self.wait(lambda: self.states[name]["state"] == "stopped", timeout, lambda: f"{name} does not stop")
        del self.states[name]

    async def quit(self, timeout: float) -> None:
        """Have the supervisor stop everything and end; returns when it has."""
        await self._request({"op": "quit"})
        if self._listener:
            await asyncio.wait_for(self._listener, timeout)

    def _is_ready(self, name: str) -> bool:
        if self._error:
            raise ClusterError(self._error)
        state = self.states.get(name)
        if state and state["state"] == "backoff" and state["restarts"] >= self._tolerated.get(name, 0):
            raise ClusterError(f"{name} ends with code {state['exit_code']}:\n{tail(Path(state['log']))}")
        return bool(state and state["state"] == "ready")

    async def _request(self, request: dict[str, Any]) -> None:
        self._writer.write(json.dumps(request).encode() + b"\n")
        await self._writer.drain()

    async def _listen(self) -> None:
        while line := await self._reader.readline():
            message = json.loads(line)
            async with self._changed:
                if "changed" in message:
                    self.states[message["changed"]["name"]] = message["changed"]
                elif "error" in message:
                    self._error = message["error"]
                self._changed.notify_all()


def tail(path: Path, lines: int = 8) -> str:
    """The last lines of a log."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 8192))
            text = file.read().decode("utf-8", "replace")
    except OSError as error:
        return f"  ({error})"
    return "\n".join(f"  {line[:400]}" for line in text.splitlines()[-lines:])
