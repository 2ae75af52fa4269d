"""One command's connection: which cluster, which namespace, and the loop its coroutine runs in."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from client import kubeconfig
from client.kubeconfig import Kubeconfig, KubeconfigError
from client.rest import ApiClient
from cloudctl.cluster.state import default_home
from cloudctl.faults import Fault
from cloudctl.globals import Globals
from cloudctl.resolve import Resolver


@dataclass
class Session:
    """What a verb works with. `namespace` is the one to use when neither the manifest nor `-A` says otherwise."""

    client: ApiClient
    resolver: Resolver
    namespace: str
    namespace_given: bool
    flags: Globals

    def say(self, text: str) -> None:
        """A line to stdout, at once."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def warn(self, text: str) -> None:
        """A line to stderr."""
        sys.stderr.write(f"{text}\n")


def kubeconfig_path(flags: Globals) -> Path:
    """The kubeconfig to read: the flag, `$KUBECONFIG`, the cluster of this machine, `~/.kube/config`."""
    if flags.kubeconfig:
        return Path(flags.kubeconfig).expanduser()
    if os.environ.get("KUBECONFIG"):
        return kubeconfig.default_path()
    local = default_home() / "admin.kubeconfig"
    return local if local.exists() else kubeconfig.default_path()


def load(flags: Globals) -> Kubeconfig:
    """The resolved context, with what the flags override. Raises Fault."""
    path = kubeconfig_path(flags)
    try:
        if not path.exists() and not flags.kubeconfig and not os.environ.get("KUBECONFIG"):
            raise Fault("no cluster is configured: `cloudctl up` starts one on this machine, or set KUBECONFIG")
        config = kubeconfig.load(path, flags.context)
    except KubeconfigError as error:
        raise Fault(str(error)) from error
    if flags.server:
        config = replace(config, servers=[flags.server.rstrip("/")])
    if flags.token:
        config = replace(config, token=flags.token, cert=None, key=None)
    return config


def execute(ctx: typer.Context, main: Callable[[Session], Awaitable[int | None]]) -> None:
    """Run a verb's coroutine; its number, if it returns one, is the exit code."""
    code = asyncio.run(_execute(ctx.obj, main))
    if code:
        raise typer.Exit(code)


async def _execute(flags: Globals, main: Callable[[Session], Awaitable[int | None]]) -> int:
    config = load(flags)
    headers = {"Impersonate-User": flags.impersonate} if flags.impersonate else {}
    async with ApiClient(config, "cloudctl", headers=headers) as client:
        session = Session(client, Resolver(client), flags.namespace or config.namespace, bool(flags.namespace), flags)
        return await main(session) or 0
