"""cloudlet-apiserver: the Kubernetes API over etcd."""

from __future__ import annotations

import logging

from apiserver import options, server


def main() -> None:
    """Read the flags and serve until SIGTERM or SIGINT."""
    chosen = options.parse()
    logging.basicConfig(level=chosen.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    server.run(chosen)


if __name__ == "__main__":
    main()
