"""`cloudlet-proxy`."""

from __future__ import annotations

import argparse
import asyncio

from client.command import Commands
from client.daemon import Daemon, run
from client.rest import ApiClient
from proxy import cleanup, options
from proxy.nft import KernelNft
from proxy.service import serve


def main() -> None:
    """Run the proxy, or with --cleanup remove what it left."""
    flags = options.parse()
    commands = Commands()
    if flags.cleanup:
        asyncio.run(cleanup.clean(commands, KernelNft(commands), flags.cluster_cidr))
        return
    run(
        "proxy",
        lambda daemon: _serve(daemon, flags, commands),
        health_port=flags.health_port,
        log_level=flags.log_level,
    )


async def _serve(daemon: Daemon, flags: argparse.Namespace, commands: Commands) -> None:
    async with ApiClient.from_kubeconfig(flags.kubeconfig, "cloudlet-proxy") as client:
        await serve(daemon, flags, client, commands)


if __name__ == "__main__":
    main()
