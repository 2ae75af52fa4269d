"""The first stage of init and join: preflight. Warnings are said, errors stop it before anything is changed."""

from __future__ import annotations

from cloudctl.cluster.state import ClusterError
from cloudctl.machine import preflight
from cloudctl.machine.layout import Machine
from cloudctl.machine.preflight.finding import Level
from cloudctl.machine.stages import Stages


async def check(machine: Machine, stages: Stages, ignore: str, server: str = "") -> None:
    """Raises ClusterError with every error at once. `ignore` is `--ignore-preflight-errors` as it was typed."""
    cluster = machine.settings.cluster
    with stages.stage("preflight", changes=False):
        try:
            request = preflight.Request(
                role=machine.settings.role, server=server, address=machine.settings.address, node_name=machine.name,
                home=machine.home, etc=machine.etc, ignore=preflight.ignored(ignore), pod_network=cluster.pod_network,
                service_network=cluster.service_network, dns_address=cluster.dns_address,
                virtual_ip=cluster.virtual_ip or "",
            )  # fmt: skip
            findings = await preflight.run(request)
        except ValueError as error:
            raise ClusterError(str(error)) from error
        if preflight.failed(findings):
            errors = [finding for finding in findings if finding.level == Level.ERROR]
            lines = [f"{one.name}: {one.what}: {one.why}; {one.remedy}" for one in errors]
            raise ClusterError("\n  ".join(["", *lines, "`--ignore-preflight-errors=NAME,…` goes on all the same"]))
    for one in findings:
        if one.level == Level.WARNING:
            stages.say(f"[yellow]warning[/yellow]: {one.name}: {one.what}: {one.why}; {one.remedy}")
