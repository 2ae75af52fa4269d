"""Aggregated ClusterRoles: their rules are the union of those their selectors match, kept up to date as roles come and go."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Protocol

from api import errors, selectors
from api.resources import CLUSTERROLES
from api.types import Object, Resource
from apiserver.auth.lookup import Lookup
from apiserver.auth.rules import Rule

log = logging.getLogger("apiserver.aggregation")
RETRY = 1.0
"""Seconds before a failed write is tried again."""


class Writer(Protocol):
    """Where aggregated rules are written."""

    async def write_rules(self, resource: Resource, name: str, rules: list[Rule]) -> None:
        """Replace the rules of one ClusterRole. Raises ApiError."""
        ...


def aggregated(role: Object, roles: Iterable[Object]) -> list[Rule]:
    """Return the rules an aggregated ClusterRole should have: those of the roles it selects, by name, each once."""
    wanted = [selectors.from_object(s) for s in role["aggregationRule"].get("clusterRoleSelectors") or ()]
    found: list[Rule] = []
    for other in sorted(roles, key=lambda r: str(r["metadata"]["name"])):
        labels = other["metadata"].get("labels") or {}
        if other["metadata"]["name"] != role["metadata"]["name"] and any(s.matches(labels) for s in wanted):
            found += [rule for rule in other.get("rules") or () if rule not in found]
    return found


class Aggregator:
    """Woken by every change of a ClusterRole; writes those whose rules are no longer the union of what they select."""

    def __init__(self, lookup: Lookup, writer: Writer) -> None:
        self._lookup = lookup
        self._writer = writer
        self._changed = asyncio.Event()

    def observe(self, kind: str, role: Object) -> None:
        """Take note of an event of the cache."""
        self._changed.set()

    async def settle(self) -> None:
        """Write until nothing is left to write; aggregates of aggregates need a round each."""
        roles = {str(role["metadata"]["name"]): role for role in self._lookup.list(CLUSTERROLES)}
        for _ in range(len(roles) + 1):
            stale = [
                (name, rules)
                for name, role in roles.items()
                if role.get("aggregationRule")
                and (rules := aggregated(role, roles.values())) != (role.get("rules") or [])
            ]
            if not stale:
                return
            for name, rules in stale:
                await self._writer.write_rules(CLUSTERROLES, name, rules)
                roles[name] = {**roles[name], "rules": rules}

    async def run(self) -> None:
        """Settle after every change until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self.settle()
            except errors.ApiError as error:
                log.warning("aggregated roles could not be written, will be tried again: %s", error)
                self._changed.set()
                await asyncio.sleep(RETRY)
