"""How long a cluster takes to start, what it costs when nothing happens, and how long a pod takes to be Ready in it.

    python -m tests.bench.bench_cluster [--fake-nodes N]

Starts a cluster of its own in a temporary directory, prints each figure beside its target, and removes the cluster.
Targets (two cores): ready within 8 s; all our processes idle (without etcd and Docker) at most 450 MiB and 5% of one core.
Memory is the proportional set size (PSS): pages that processes share count once.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench import bench_pods

_IDLE_SECONDS = 30.0
_SETTLE_SECONDS = 10.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _cloudctl(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "cloudctl", *words], check=True, timeout=180, stdout=subprocess.DEVNULL)


def processes(home: Path) -> dict[str, int]:
    """Name → pid of every daemon that the cluster's supervisor has started, and of the supervisor itself."""
    return {file.stem: int(file.read_text().split()[0]) for file in (home / "run").glob("*.pid")}


def pss_mib(pid: int) -> float:
    """Proportional set size of a process in MiB (proc(5), smaps_rollup)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _measure(home: Path, flags: list[str]) -> None:
    began = time.monotonic()
    _cloudctl("up", "--state", str(home), "--port", str(_free_port()), *flags)
    print(f"up, ready after           {time.monotonic() - began:6.2f} s    target ≤ 8")
    time.sleep(_SETTLE_SECONDS)
    ours = {name: pid for name, pid in processes(home).items() if name != "etcd"}
    before = {name: cpu_seconds(pid) for name, pid in ours.items()}
    time.sleep(_IDLE_SECONDS)
    total_memory = total_cpu = 0.0
    for name, pid in sorted(ours.items()):
        memory, cpu = pss_mib(pid), (cpu_seconds(pid) - before[name]) / _IDLE_SECONDS * 100
        total_memory, total_cpu = total_memory + memory, total_cpu + cpu
        print(f"  {name:24}{memory:6.1f} MiB {cpu:5.2f} % of a core")
    print(f"idle, all our processes   {total_memory:6.1f} MiB  target ≤ 450")
    print(f"idle, all our processes   {total_cpu:6.2f} %    target ≤ 5")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--fake-nodes", type=int, default=0)
    chosen = parser.parse_args()
    flags = ["--fake-nodes", str(chosen.fake_nodes)] if chosen.fake_nodes else []
    with tempfile.TemporaryDirectory(prefix="cloudlet-bench-") as folder:
        home = Path(folder)
        try:
            _measure(home, flags)
            if not chosen.fake_nodes:
                bench_pods.run(str(home / "admin.kubeconfig"))
        finally:
            _cloudctl("down", "--delete", "--state", str(home))


if __name__ == "__main__":
    main()
