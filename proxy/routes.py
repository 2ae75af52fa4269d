"""Kernel routes to the pod ranges of nodes on other machines. Ours carry a routing protocol number of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import orjson
import structlog

from api.meta import is_deleting, name
from api.types import Object
from client.command import CommandError, Commands
from proxy.machine import internal_ips

PROTOCOL = "117"


def desired(nodes: Iterable[Object], local: Mapping[str, object]) -> dict[str, str]:
    """Pod range → the address it is reached by, for every node that is not on this machine."""
    routes = {}
    for node in nodes:
        ips = internal_ips(node)
        if name(node) in local or not ips or is_deleting(node):
            continue
        spec = node.get("spec") or {}
        for cidr in spec.get("podCIDRs") or [spec.get("podCIDR") or ""]:
            if cidr and ":" not in cidr:
                routes[cidr] = ips[0]
    return routes


class Routes:
    """The kernel's routes, made equal to what is desired."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._log = structlog.get_logger("routes")

    async def present(self) -> dict[str, str]:
        """Our routes as they are now. Raises CommandError."""
        text = await self._commands.run("ip", "-j", "-4", "route", "show", "proto", PROTOCOL)
        return {r["dst"]: r.get("gateway", "") for r in orjson.loads(text or "[]")}

    async def sync(self, routes: Mapping[str, str]) -> None:
        """Add, change and delete. A route that the kernel refuses is logged and left for the next change."""
        present = await self.present()
        for cidr in present.keys() - routes.keys():
            await self._try("ip", "route", "del", cidr, "proto", PROTOCOL)
        for cidr, gateway in routes.items():
            if present.get(cidr) != gateway:
                await self._try("ip", "route", "replace", cidr, "via", gateway, "proto", PROTOCOL)

    async def _try(self, *argv: str) -> None:
        try:
            await self._commands.run(*argv)
            self._log.info("route changed", command=" ".join(argv))
        except CommandError as error:
            self._log.warning("route not changed", error=str(error))
