"""`cloudlet-kubelet`: the node agent, or with `--fake N` a number of simulated nodes."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
from collections.abc import Sequence

import kubelet.lean  # noqa: F401 (before everything that would load what it keeps out)
from client import daemon
from client.daemon import Daemon
from client.rest import ApiClient
from kubelet.settings import parse, settings


async def _agent(arguments: argparse.Namespace, process: Daemon) -> None:
    # Loaded by name: simulated nodes need neither Docker nor its library.
    agent = importlib.import_module("kubelet.agent")
    machine = importlib.import_module("kubelet.machine")
    wanted = settings(arguments)
    if not wanted.node_ips:
        wanted = dataclasses.replace(wanted, node_ips=(machine.default_address(),))
    if wanted.bootstrap_kubeconfig:
        await importlib.import_module("kubelet.certificates.bootstrap").ensure(wanted)
    async with ApiClient.from_kubeconfig(wanted.kubeconfig, f"cloudlet-kubelet/{wanted.node}") as client:
        await agent.Agent(wanted, client).run(process)


async def _fake(arguments: argparse.Namespace, process: Daemon) -> None:
    fake = importlib.import_module("kubelet.fake")
    async with ApiClient.from_kubeconfig(arguments.kubeconfig, "cloudlet-kubelet/fake") as client:
        await fake.run(client, arguments.fake, arguments.fake_prefix, process)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the daemon to its end."""
    arguments = parse(argv)
    body = _fake if arguments.fake else _agent
    daemon.run(
        "kubelet",
        lambda process: body(arguments, process),
        health_port=arguments.health_port,
        log_level=arguments.log_level,
    )


if __name__ == "__main__":
    main()
