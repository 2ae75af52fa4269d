"""Lets packets from and to pods pass the host's firewall, which Docker sets to drop whatever it does not know.

Docker promises to keep the rules of its chain DOCKER-USER and to ask it first. Where there is no such chain the rule goes
into FORWARD. Source: Docker's manual, "Packet filtering and firewalls".
"""

from __future__ import annotations

import structlog

from client.command import CommandError, Commands

_IPTABLES = ("iptables", "-w", "5")
_CHAINS = ("DOCKER-USER", "FORWARD")


def _rules(cluster_cidr: str) -> list[tuple[str, ...]]:
    tail = ("-m", "comment", "--comment", "cloudlet pods", "-j", "ACCEPT")
    return [("-s", cluster_cidr, *tail), ("-d", cluster_cidr, *tail)]


class Forwarding:
    """The accept rules for one pod range; `ensure` may be called as often as something has changed."""

    def __init__(self, commands: Commands, cluster_cidr: str) -> None:
        self._commands, self._rules = commands, _rules(cluster_cidr)
        self._log = structlog.get_logger("forwarding")

    async def ensure(self) -> None:
        """Put the rules where they are missing. A machine without iptables has no Docker and needs none."""
        try:
            await self._commands.run("iptables", "--version")
        except CommandError:
            return
        has_docker = await self._commands.succeeds(*_IPTABLES, "-n", "-L", "DOCKER-USER")
        chain = "DOCKER-USER" if has_docker else "FORWARD"
        for parts in self._rules:
            if await self._commands.succeeds(*_IPTABLES, "-C", chain, *parts):
                continue
            try:
                await self._commands.run(*_IPTABLES, "-I", chain, *parts)
                self._log.info("packets of pods accepted", chain=chain, rule=" ".join(parts[:2]))
            except CommandError as error:
                self._log.warning("firewall rule not added", chain=chain, error=str(error))

    async def remove(self) -> None:
        """Take the rules out of every chain they may be in."""
        for chain in _CHAINS:
            for parts in self._rules:
                # A rule may be there more than once if somebody restored a saved firewall.
                for _ in range(8):
                    if not await self._commands.succeeds(*_IPTABLES, "-D", chain, *parts):
                        break
