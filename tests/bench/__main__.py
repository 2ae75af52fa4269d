"""Every figure that Cloudlet claims, measured now: `python -m tests.bench`, or `make bench`.

One benchmark after the other, each in a process of its own, so that none is in another's way.
"""

from __future__ import annotations

import subprocess
import sys

_BENCHMARKS = ("bench_cluster", "bench_api", "bench_scheduler")
_SECONDS = 600


def main() -> int:
    """The number of benchmarks that could not run."""
    failed = 0
    for name in _BENCHMARKS:
        print(f"== {name}", flush=True)
        done = subprocess.run([sys.executable, "-m", f"tests.bench.{name}"], check=False, timeout=_SECONDS)
        failed += done.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
