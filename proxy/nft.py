"""The kernel's nftables, behind a narrow interface: one atomic transaction, and the names of what is there."""

from __future__ import annotations

from typing import Protocol

import orjson

from client.command import CommandError, Commands
from proxy.ruleset import TABLE, Present

_SECONDS = 60.0


class Nft(Protocol):
    """What the proxy needs of nftables."""

    async def apply(self, commands: str) -> None:
        """Do all commands, one a line, or none of them. Raises CommandError."""

    async def present(self) -> Present:
        """The names in our table; empty when there is no table."""


class KernelNft:
    """The nft program."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    async def apply(self, commands: str) -> None:
        await self._commands.run("nft", "-f", "-", stdin=commands.encode(), timeout=_SECONDS)

    async def present(self) -> Present:
        try:
            text = await self._commands.run("nft", "-j", "-t", "list", "table", *TABLE.split(), timeout=_SECONDS)
        except CommandError as error:
            if "No such file" in error.stderr:
                return Present()
            raise
        return read_present(orjson.loads(text))


def read_present(listing: dict[str, list[dict[str, dict[str, object]]]]) -> Present:
    """The names in what `nft -j list table` prints."""
    names: dict[str, set[str]] = {"chain": set(), "map": set(), "set": set(), "dynamic": set()}
    for entry in listing["nftables"]:
        for kind, item in entry.items():
            if kind in names:
                # nft 1.0.6 leaves "dynamic" out of its JSON; only sets that packets fill have a time-out.
                flags = item.get("flags") or ()
                is_dynamic = kind == "set" and isinstance(flags, list) and "timeout" in flags
                names["dynamic" if is_dynamic else kind].add(str(item["name"]))
    return Present(
        frozenset(names["chain"]), frozenset(names["map"]), frozenset(names["set"]), frozenset(names["dynamic"])
    )
