"""One supervised process: a state machine over start, notification, exit and time.

Promises:
- A daemon that exits without being told to is started again after a back-off of 0.2 s that doubles up to 10 s; the
  back-off resets once the daemon has been ready for 30 s.
- A daemon that has asked for the watchdog and then says nothing for `WATCHDOG_SECONDS` is killed and started again.
- `stop` sends SIGTERM, and SIGKILL after the spec's `stop_seconds`.
- A daemon that was started by an earlier supervisor and still lives is adopted, not started twice.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

from cloudctl.supervisor import pidfile
from cloudctl.supervisor.spec import Spec

WATCHDOG_SECONDS = 60.0
FIRST_BACKOFF = 0.2
LONGEST_BACKOFF = 10.0
HEALTHY_SECONDS = 30.0


class Process:
    """A daemon and what is known about it. `state` is one of starting, ready, backoff, stopping, stopped."""

    def __init__(self, spec: Spec, run_dir: Path) -> None:
        self.spec = spec
        self.state = "stopped"
        self.pid = 0
        self.restarts = 0
        self.exit_code: int | None = None
        self.wake_at: float | None = None
        self.pidfd = -1
        self._child: subprocess.Popen[bytes] | None = None
        self._pid_path = run_dir / f"{spec.name}.pid"
        self._notify_path = run_dir / f"{spec.name}.notify"
        self._backoff = FIRST_BACKOFF
        self._ready_at = 0.0
        self._notify_path.unlink(missing_ok=True)
        self.notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notifications.setblocking(False)
        self.notifications.bind(str(self._notify_path))

    def describe(self) -> dict[str, Any]:
        """What the control socket tells about this daemon."""
        return {
            "name": self.spec.name,
            "state": self.state,
            "pid": self.pid,
            "restarts": self.restarts,
            "exit_code": self.exit_code,
            "log": self.spec.log,
            "argv": list(self.spec.argv),
        }

    def start(self, now: float) -> None:
        """Start the daemon, or adopt the one that already runs. Raises OSError when the program cannot be started."""
        adopted = pidfile.read(self._pid_path)
        if adopted is not None:
            self.pid, self.state, self._ready_at, self.wake_at = adopted, "ready", now, None
        else:
            try:
                self._spawn()
            except OSError:
                self._back_off(now)
                raise
            self.state, self.wake_at = "starting", None
            if not self.spec.notify:
                self._become_ready(now)
        self.pidfd = os.pidfd_open(self.pid)

    def _spawn(self) -> None:
        Path(self.spec.log).parent.mkdir(parents=True, exist_ok=True)
        env = {**os.environ, **self.spec.env}
        if self.spec.notify:
            env["NOTIFY_SOCKET"] = str(self._notify_path)
            env["WATCHDOG_USEC"] = str(int(WATCHDOG_SECONDS * 1e6))
        with Path(self.spec.log).open("ab") as log:
            self._child = subprocess.Popen(
                list(self.spec.argv), env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.pid = self._child.pid
        pidfile.write(self._pid_path, self.pid)

    def stop(self, now: float) -> None:
        """Ask the daemon to end; its exit is reported by the pidfd."""
        if self.pid:
            self.state, self.wake_at = "stopping", now + self.spec.stop_seconds
            self._kill(signal.SIGTERM)
            self._kill(signal.SIGCONT)
        else:
            self.state, self.wake_at = "stopped", None

    def receive(self, now: float) -> bool:
        """Take the waiting notifications; True when the state changed."""
        changed = False
        while True:
            try:
                data = self.notifications.recv(4096)
            except BlockingIOError:
                return changed
            lines = data.decode("utf-8", "replace").splitlines()
            if "READY=1" in lines and self.state == "starting":
                self._become_ready(now)
                changed = True
            if "WATCHDOG=1" in lines and self.state in ("starting", "ready"):
                self.wake_at = now + WATCHDOG_SECONDS

    def exited(self, now: float) -> None:
        """The process has ended: note how, and plan the next start unless it was told to stop."""
        os.close(self.pidfd)
        self.exit_code = self._child.wait() if self._child else None
        self.pidfd, self.pid, self._child = -1, 0, None
        self._pid_path.unlink(missing_ok=True)
        if self.state == "stopping":
            self.state, self.wake_at = "stopped", None
            return
        if self.state == "ready" and now - self._ready_at >= HEALTHY_SECONDS:
            self._backoff = FIRST_BACKOFF
        self._back_off(now)

    def _back_off(self, now: float) -> None:
        self.state, self.wake_at = "backoff", now + self._backoff
        self._backoff = min(self._backoff * 2, LONGEST_BACKOFF)

    def timer(self, now: float) -> bool:
        """Act if the deadline has passed; True when the daemon is to be started again."""
        if self.wake_at is None or now < self.wake_at:
            return False
        self.wake_at = None
        if self.state == "backoff":
            self.restarts += 1
            return True
        self._kill(signal.SIGKILL)
        return False

    def close(self) -> None:
        """Give back the notification socket."""
        self.notifications.close()
        self._notify_path.unlink(missing_ok=True)

    def _become_ready(self, now: float) -> None:
        self.state, self._ready_at = "ready", now

    def _kill(self, number: int) -> None:
        if self.pidfd >= 0:
            try:
                signal.pidfd_send_signal(self.pidfd, number)
            except ProcessLookupError:
                return
