"""`cloudlet-cloud`."""

from __future__ import annotations

import asyncio

from client.command import Commands
from client.daemon import run
from controllers.cloud import manager, options
from controllers.cloud.local.provider import clean


def main() -> None:
    """Run the cloud controllers, or with --cleanup remove what they made."""
    flags = options.parse()
    if flags.cleanup:
        asyncio.run(clean(manager.settings_of(flags), Commands()))
        return
    run("cloud", lambda daemon: manager.serve(daemon, flags), health_port=flags.health_port, log_level=flags.log_level)


if __name__ == "__main__":
    main()
