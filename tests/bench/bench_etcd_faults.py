"""How long clients wait when an etcd member fails: three members and one API server on loopback, a fault each.

    .venv/bin/python -m tests.bench.bench_etcd_faults

Prints, per fault, the longest time in seconds without an acknowledged create, update and read, and how many requests were
refused. Invariants are checked as in the tests.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from signal import SIGCONT, SIGSTOP

from tests.api.cluster import Cluster
from tests.api.conftest import connect
from tests.api.load import Load
from tests.api.trio import NAMES, Trio

FAULTS = ("killed", "stopped", "cut off")
TARGET = 3.0
"""Seconds that a dead leader may cost."""


def measure(fault: str, own: str, victim: str) -> Load:
    """One fault of the `victim` ("leader", "follower") while the API server talks to the victim (`own` is "it") or another."""
    folder = Path(tempfile.mkdtemp(prefix="cloudlet-faults-"))
    trio = Trio(folder)
    try:
        trio.start()
        leader = trio.leader()
        follower = next(name for name in NAMES if name != leader)
        target = leader if victim == "leader" else follower
        first = target if own == "it" else next(name for name in NAMES if name not in (target, leader))
        server = Cluster(folder, etcd_servers=trio.urls(first))
        server.start_server()
        try:
            with Load(lambda: connect(server)) as load:
                load.until(50)
                if fault == "killed":
                    trio.kill(target)
                elif fault == "stopped":
                    trio.send(target, SIGSTOP)
                else:
                    trio.isolate(target)
                load.until(100)
                if fault == "stopped":
                    trio.send(target, SIGCONT)
        finally:
            server.stop("apiserver")
        return load
    finally:
        trio.close()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Measure all faults."""
    print(f"{'fault':<34} {'creates':>8} {'updates':>8} {'reads':>8}  refused")
    for victim in ("leader", "follower"):
        for fault in FAULTS:
            for own in ("it", "another"):
                load = measure(fault, own, victim)
                kinds = (load.creates, load.updates, load.reads)
                name = f"{victim} {fault}, asked {own}"
                refused = {code: count for told in kinds for code, count in told.codes.items() if not 200 <= code < 300}
                verdict = "ok" if max(told.gap for told in kinds) <= TARGET else "MISSED"
                gaps = " ".join(f"{told.gap:>6.1f} s" for told in kinds)
                print(f"{name:<34} {gaps}  {refused or 'none'}  {verdict}", flush=True)


if __name__ == "__main__":
    main()
