"""`init`, `join`, `reset`, `token`: this machine as part of a cluster of machines."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from api.errors import ApiError
from client.kubeconfig import KubeconfigError
from client.rest import ApiClient
from cloudctl.app import Verb, family
from cloudctl.cluster.state import ClusterError
from cloudctl.cluster.steps import Steps
from cloudctl.durations import seconds
from cloudctl.faults import Fault
from cloudctl.machine import discovery, layout, settings, tokens
from cloudctl.machine.init import Invitation, init
from cloudctl.machine.join import Wishes, join
from cloudctl.machine.layout import Machine
from cloudctl.machine.reset import reset
from cloudctl.machine.tokens import Token

cli = family()
T = TypeVar("T")

NodeName = Annotated[str, typer.Option("--node-name", help="The node's name; else the host name")]
Address = Annotated[
    str, typer.Option("--address", help="This machine's address; else the one towards the default route")
]
Schedulable = Annotated[
    bool, typer.Option("--schedulable/--no-schedulable", help="Let ordinary pods run on this control plane, too")
]
Ignore = Annotated[
    str, typer.Option("--ignore-preflight-errors", help="Checks, with commas between, that must not stop it; or all")
]
Labels = Annotated[list[str] | None, typer.Option("--node-label", metavar="KEY=VALUE", help="A label of the node")]


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run it; what goes wrong becomes one message for people."""
    try:
        if os.geteuid() != 0:
            work.close()
            raise Fault("this changes the machine and needs root: use sudo")
        return asyncio.run(work)
    except (ClusterError, KubeconfigError) as error:
        raise Fault(str(error)) from error
    except ApiError as error:
        raise Fault(error.message) from error


def _machine_data(node_name: str, address: str, labels: list[str] | None) -> dict[str, Any]:
    data: dict[str, Any] = {
        "nodeName": node_name or layout.default_node_name(),
        "address": address or layout.primary_address(),
    }
    data["interface"] = layout.interface_of(data["address"])
    if labels:
        data["nodeLabels"] = dict(label.partition("=")[::2] for label in labels)
    return data


@cli.command("init", cls=Verb)
def init_command(
    config: Annotated[str, typer.Option("--config", help="A file of settings; flags come on top")] = "",
    node_name: NodeName = "",
    address: Address = "",
    cluster_name: Annotated[str, typer.Option("--cluster-name", help="What the cluster is called")] = "",
    control_plane: Annotated[str, typer.Option("--control-plane", help="services (systemd units) or static-pods")] = "",
    schedulable: Schedulable = False,
    pod_network: Annotated[str, typer.Option("--pod-network-cidr", help="Addresses of pods")] = "",
    service_network: Annotated[str, typer.Option("--service-cidr", help="Addresses of Services")] = "",
    load_balancers: Annotated[
        str, typer.Option("--load-balancer-pool", help="Addresses of this network for load balancers: A-B or CIDR")
    ] = "",
    virtual_ip: Annotated[
        str, typer.Option("--virtual-ip", help="An address that always stands on a working control plane")
    ] = "",
    labels: Labels = None,
    ignore: Ignore = "",
    output: Annotated[str, typer.Option("--output", "-o", help="json, or nothing for people")] = "",
) -> None:
    """Make this machine the first control plane of a new cluster, and print how others join."""
    steps = Steps()
    made = run(_init(config, {
        **_machine_data(node_name, address, labels),
        **({"schedulable": True} if schedulable else {}),
        "cluster": {key: value for key, value in (
            ("name", cluster_name), ("controlPlane", control_plane), ("podNetwork", pod_network),
            ("serviceNetwork", service_network), ("loadBalancerPool", load_balancers), ("virtualIp", virtual_ip),
        ) if value},
    }, ignore, steps))  # fmt: skip
    if output == "json":
        typer.echo(json.dumps(_as_json(made)))
        return
    steps.say(f"ready in {steps.seconds:.1f} s: {made.server}")
    steps.say(f"  export KUBECONFIG={layout.HOME / 'admin.kubeconfig'}\n")
    _say_how(made)


async def _init(config: str, typed: dict[str, Any], ignore: str, steps: Steps) -> Invitation:
    data = settings.read(Path(config)) if config else {}
    cluster = {**(data.get("cluster") or {}), **typed.pop("cluster")}
    decided = settings.parse({**typed, **data, **typed, "cluster": cluster}, config or "init")
    return await init(Machine(decided), steps, ignore)


def _as_json(made: Invitation) -> dict[str, str]:
    return {
        "server": made.server,
        "token": str(made.token),
        "caCertHash": made.ca_cert_hash,
        "certificateKey": made.certificate_key,
        "join": made.command(),
        "joinControlPlane": made.command(control_plane=True) if made.certificate_key else "",
    }


def _say_how(made: Invitation) -> None:
    typer.echo(f"A worker joins, within a day, with\n\n  {made.command()}\n")
    if made.certificate_key:
        typer.echo(f"and a further control plane, within two hours, with\n\n  {made.command(control_plane=True)}\n")


@cli.command("join", cls=Verb)
def join_command(
    server: Annotated[str, typer.Argument(metavar="HOST:PORT", help="An API server of the cluster")],
    token: Annotated[str, typer.Option("--token", help="As `cloudctl init` or `cloudctl token create` printed it")],
    ca_cert_hash: Annotated[str, typer.Option("--ca-cert-hash", help="Which CA to believe")],
    control_plane: Annotated[bool, typer.Option("--control-plane/--worker", help="Be one more control plane")] = False,
    certificate_key: Annotated[
        str, typer.Option("--certificate-key", help="Reads the control plane's certificates")
    ] = "",
    node_name: NodeName = "",
    address: Address = "",
    schedulable: Schedulable = False,
    labels: Labels = None,
    ignore: Ignore = "",
) -> None:
    """Make this machine a node of a cluster."""
    if control_plane != bool(certificate_key):
        raise Fault("--control-plane and --certificate-key go together: both, or neither for a worker")
    host, _, port = server.removeprefix("https://").rstrip("/").rpartition(":")
    if not host or not port.isdigit():
        raise Fault(f"{server}: HOST:PORT is needed, such as 192.0.2.10:6443")
    steps = Steps()
    try:
        secret = tokens.certificate_key(certificate_key) if certificate_key else None
        data = {**_machine_data(node_name, address, labels), **({"schedulable": True} if schedulable else {})}
        wishes = Wishes(f"{host}:{port}", Token.parse(token), ca_cert_hash, secret, data, ignore)
    except ClusterError as error:
        raise Fault(str(error)) from error
    machine = run(join(wishes, steps))
    steps.say(f"ready in {steps.seconds:.1f} s: node {machine.name}")


@cli.command("reset", cls=Verb)
def reset_command() -> None:
    """Take this machine out of its cluster and remove everything the cluster left on it, data included."""
    run(reset(Steps()))


token_cli = typer.Typer(rich_markup_mode=None, add_completion=False, no_args_is_help=True, help="Tokens to join with.")
cli.add_typer(token_cli, name="token")


@token_cli.command("create", cls=Verb)
def token_create(
    ttl: Annotated[str, typer.Option("--ttl", help="How long the token is good")] = "24h",
    control_plane: Annotated[
        bool, typer.Option("--control-plane/--worker", help="Offer the control plane's certificates, too")
    ] = False,
    output: Annotated[str, typer.Option("--output", "-o", help="json, or nothing for people")] = "",
) -> None:
    """Make a token, and print the command with which machines join."""
    made = run(_invite(int(seconds(ttl)), control_plane=control_plane))
    typer.echo(json.dumps(_as_json(made))) if output == "json" else _say_how(made)


async def _invite(ttl: int, *, control_plane: bool) -> Invitation:
    machine = Machine.here()
    if not machine.is_control_plane:
        raise ClusterError("this machine is a worker: make tokens on a control plane")
    async with ApiClient.from_kubeconfig(machine.admin_kubeconfig, "cloudctl") as client:
        token = await tokens.create(client, ttl)
        key = await tokens.upload(client, machine.pki) if control_plane else ""
    return Invitation(machine.server, token, discovery.ca_hash((machine.pki / "ca.crt").read_bytes()), key)
