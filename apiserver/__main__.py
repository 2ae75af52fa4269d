"""cloudlet-apiserver: the Kubernetes API over etcd."""

from __future__ import annotations

import logging

from apiserver import options, server, workers


def main() -> None:
    """Read the flags and serve until SIGTERM or SIGINT."""
    chosen = options.parse()
    logging.basicConfig(level=chosen.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    if chosen.workers > 1:
        workers.run(chosen)
    else:
        server.run(chosen)


if __name__ == "__main__":
    main()
