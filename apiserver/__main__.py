"""cloudlet-apiserver: the Kubernetes API over etcd."""

from __future__ import annotations

from apiserver import options, server, workers
from client import logs


def main() -> None:
    """Read the flags and serve until SIGTERM or SIGINT."""
    chosen = options.parse()
    logs.configure(chosen.log_level)
    if chosen.workers > 1:
        workers.run(chosen)
    else:
        server.run(chosen)


if __name__ == "__main__":
    main()
