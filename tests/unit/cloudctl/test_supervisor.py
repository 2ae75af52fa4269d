"""The supervisor's promises, with real processes of this interpreter; what happens is learnt over the control socket."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from cloudctl.cluster.processes import Supervision, launch_supervisor
from cloudctl.cluster.state import Cluster, ClusterError, Decisions
from cloudctl.supervisor import pidfile
from cloudctl.supervisor.process import Process
from cloudctl.supervisor.spec import Spec

NOTIFY = """
import os, signal, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["NOTIFY_SOCKET"])
s.send(b"READY=1")
signal.pause()
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + NOTIFY
SECONDS = 20.0


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    found = Cluster(tmp_path, Decisions())
    found.save()
    return found


@pytest.fixture
async def supervision(cluster: Cluster) -> AsyncIterator[Supervision]:
    launch_supervisor(cluster)
    connected = await Supervision.connect(cluster)
    assert connected
    yield connected
    again = await Supervision.connect(cluster)
    if again:
        await again.quit(SECONDS)
        await again.close()
    await connected.close()


def spec(cluster: Cluster, name: str, code: str, **more: Any) -> Spec:
    return Spec(name, (sys.executable, "-c", code), str(cluster.logs / f"{name}.log"), **more)


async def until(supervision: Supervision, predicate: Callable[[dict[str, Any]], bool], name: str) -> dict[str, Any]:
    def met() -> bool:
        return name in supervision.states and predicate(supervision.states[name])

    await supervision.wait(met, SECONDS, lambda: f"{name}: {supervision.states.get(name)}")
    return supervision.states[name]


async def test_a_daemon_is_ready_when_it_says_so(cluster: Cluster, supervision: Supervision) -> None:
    await supervision.start(spec(cluster, "a", NOTIFY))
    await supervision.wait_ready("a", SECONDS)
    assert pidfile.read(cluster.run / "a.pid") == supervision.states["a"]["pid"]


async def test_a_killed_daemon_is_started_again(cluster: Cluster, supervision: Supervision) -> None:
    await supervision.start(spec(cluster, "a", NOTIFY))
    await supervision.wait_ready("a", SECONDS)
    first = supervision.states["a"]["pid"]
    os.kill(first, signal.SIGKILL)
    state = await until(supervision, lambda s: s["state"] == "ready" and s["pid"] != first, "a")
    assert state["restarts"] == 1


async def test_a_daemon_that_cannot_start_is_named_with_the_end_of_its_log(
    cluster: Cluster, supervision: Supervision
) -> None:
    await supervision.start(spec(cluster, "a", "import sys; sys.exit('no such flag')"))
    with pytest.raises(ClusterError, match=r"(?s)a ends with code 1:.*no such flag"):
        await supervision.wait_ready("a", SECONDS)


async def test_a_program_that_is_not_there_is_an_error(cluster: Cluster, supervision: Supervision) -> None:
    await supervision.start(Spec("a", ("/no/such/program",), str(cluster.logs / "a.log")))
    with pytest.raises(ClusterError, match="No such file"):
        await supervision.wait_ready("a", SECONDS)


async def test_quit_stops_the_later_ones_first_and_kills_the_stubborn(
    cluster: Cluster, supervision: Supervision
) -> None:
    ends: list[str] = []
    await supervision.start(spec(cluster, "first", NOTIFY, order=10))
    await supervision.start(spec(cluster, "last", STUBBORN, order=20, stop_seconds=0.2))
    for name in ("first", "last"):
        await supervision.wait_ready(name, SECONDS)
    pids = [state["pid"] for state in supervision.states.values()]
    reader, writer = await asyncio.open_unix_connection(str(cluster.run / "supervisor.sock"))
    await supervision.quit(SECONDS)
    async with asyncio.timeout(SECONDS):
        while line := await reader.readline():
            changed = json.loads(line).get("changed", {})
            if changed.get("state") == "stopped":
                ends.append(changed["name"])
    writer.close()
    assert ends == ["last", "first"]
    assert [pidfile.start_time(pid) for pid in pids] == [None, None]
    assert not (cluster.run / "supervisor.sock").exists()


async def test_a_daemon_in_back_off_does_not_hold_up_quit(cluster: Cluster, supervision: Supervision) -> None:
    await supervision.start(spec(cluster, "good", NOTIFY, order=10))
    await supervision.wait_ready("good", SECONDS)
    await supervision.start(spec(cluster, "bad", "raise SystemExit(1)", order=20))
    await until(supervision, lambda s: s["state"] == "backoff" and s["restarts"] >= 2, "bad")
    await supervision.quit(5.0)


async def test_a_new_supervisor_adopts_what_a_dead_one_left(cluster: Cluster, supervision: Supervision) -> None:
    await supervision.start(spec(cluster, "a", NOTIFY))
    await supervision.wait_ready("a", SECONDS)
    daemon, supervisor = supervision.states["a"]["pid"], pidfile.read(cluster.run / "supervisor.pid")
    assert supervisor
    watch = os.pidfd_open(supervisor)
    os.kill(supervisor, signal.SIGKILL)
    await asyncio.to_thread(os.waitid, os.P_PIDFD, watch, os.WEXITED)
    os.close(watch)
    launch_supervisor(cluster)
    again = await Supervision.connect(cluster)
    assert again
    assert again.states["a"]["pid"] == daemon
    os.kill(daemon, signal.SIGKILL)
    await until(again, lambda s: s["state"] == "ready" and s["pid"] != daemon, "a")
    await again.close()


async def test_only_one_supervisor_serves_a_cluster(cluster: Cluster, supervision: Supervision) -> None:
    command = [sys.executable, "-m", "cloudctl.supervisor", str(cluster.run)]
    done = await asyncio.to_thread(subprocess.run, command, check=False, timeout=SECONDS)
    assert done.returncode == 1


async def test_nonsense_on_the_control_socket_is_answered_not_fatal(cluster: Cluster, supervision: Supervision) -> None:
    reader, writer = await asyncio.open_unix_connection(str(cluster.run / "supervisor.sock"))
    await reader.readline()
    for request in (b"no json\n", b'{"op": "dance"}\n', b'{"op": "stop", "name": "nobody"}\n', b"[]\n"):
        writer.write(request)
        assert "bad request" in json.loads(await asyncio.wait_for(reader.readline(), SECONDS))["error"]
    writer.close()
    await supervision.start(spec(cluster, "a", NOTIFY))
    await supervision.wait_ready("a", SECONDS)


def test_a_silent_daemon_that_asked_for_the_watchdog_is_killed(tmp_path: Path) -> None:
    code = NOTIFY.replace('s.send(b"READY=1")', 's.send(b"READY=1\\nWATCHDOG=1")')
    process = Process(Spec("a", (sys.executable, "-c", code), str(tmp_path / "log")), tmp_path)
    process.start(0.0)
    process.notifications.setblocking(True)
    data = process.notifications.recv(100, 2)  # MSG_PEEK: wait for the message, leave it there
    process.notifications.setblocking(False)
    assert b"WATCHDOG" in data
    assert process.receive(1.0)
    assert process.wake_at == 61.0
    assert not process.timer(60.9)
    process.timer(61.0)
    process.exited(62.0)
    assert process.exit_code == -signal.SIGKILL
    assert (process.state, process.wake_at) == ("backoff", 62.2)
    process.close()


@pytest.mark.parametrize(
    ("text", "alive"),
    [("", False), ("nonsense", False), ("1 2 3", False), (f"{os.getpid()} 1", False), ("999999999 5", False)],
)
def test_a_pid_file_that_does_not_fit_names_nobody(tmp_path: Path, text: str, alive: bool) -> None:
    path = tmp_path / "x.pid"
    path.write_text(text)
    assert (pidfile.read(path) is not None) == alive


def test_a_pid_file_names_the_process_it_was_written_for(tmp_path: Path) -> None:
    path = tmp_path / "x.pid"
    pidfile.write(path, os.getpid())
    assert pidfile.read(path) == os.getpid()
    assert not pidfile.send_signal(tmp_path / "absent.pid", 0)
