"""Who owns whom, over all kinds, by uid. Pure: every change returns the uids that have to be looked at because of it.

Source: the Kubernetes documentation, "Garbage Collection: Owners and dependents, Cascading deletion".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from api import meta
from api.types import Object, Resource

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


@dataclass(frozen=True, slots=True)
class Owner:
    """One entry of `metadata.ownerReferences`; `blocks` is `blockOwnerDeletion`."""

    uid: str
    api_version: str
    kind: str
    name: str
    blocks: bool


@dataclass(frozen=True, slots=True)
class Node:
    """One object: where it is and what of its metadata matters here."""

    uid: str
    resource: Resource
    namespace: str
    name: str
    owners: tuple[Owner, ...]
    deleting: bool
    foreground: bool
    """Being deleted, but only after its dependents."""
    orphaning: bool
    """Being deleted, but only after its dependents have been set free."""


def owners_of(obj: Object) -> tuple[Owner, ...]:
    """The owner references of an object."""
    return tuple(
        Owner(r["uid"], r["apiVersion"], r["kind"], r["name"], bool(r.get("blockOwnerDeletion")))
        for r in obj["metadata"].get("ownerReferences") or ()
    )


def node_from(resource: Resource, obj: Object) -> Node:
    """The node for an object (its metadata is enough)."""
    deleting = meta.is_deleting(obj)
    finalizers = obj["metadata"].get("finalizers") or ()
    return Node(
        meta.uid(obj),
        resource,
        meta.namespace(obj),
        meta.name(obj),
        owners_of(obj),
        deleting,
        deleting and FOREGROUND in finalizers,
        deleting and ORPHAN in finalizers,
    )


class Graph:
    """Nodes by uid and, for every owner's uid, known or not, the uids of its dependents."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self._dependents: dict[str, set[str]] = {}

    def dependents(self, uid: str) -> list[Node]:
        """The known dependents of an owner."""
        return [self.nodes[d] for d in self._dependents.get(uid, ()) if d in self.nodes]

    def blocking(self, uid: str) -> list[Node]:
        """Dependents that hold up their owner's deletion in the foreground."""
        return [d for d in self.dependents(uid) if any(o.uid == uid and o.blocks for o in d.owners)]

    def put(self, node: Node) -> set[str]:
        """Add or replace a node."""
        old = self.nodes.get(node.uid)
        self.nodes[node.uid] = node
        look: set[str] = set()
        if old is None or old.owners != node.owners:
            look |= self._reown(node, old.owners if old is not None else ())
        if node.foreground and (old is None or not old.foreground):
            look |= {node.uid, *self._dependents.get(node.uid, ())}
        if node.orphaning and (old is None or not old.orphaning):
            look.add(node.uid)
        return look

    def _reown(self, node: Node, before: Iterable[Owner]) -> set[str]:
        look: set[str] = set()
        for owner in before:
            if not any(o.uid == owner.uid for o in node.owners):
                self._take(owner.uid, node.uid)
        for owner in node.owners:
            self._dependents.setdefault(owner.uid, set()).add(node.uid)
            if owner.uid not in self.nodes:
                look.add(node.uid)  # an owner nobody knows may not exist
        still = {o.uid for o in node.owners if o.blocks}
        return look | self._waiting(o.uid for o in before if o.uid not in still)

    def remove(self, uid: str) -> set[str]:
        """Take out a node that is no more: its dependents have lost an owner, an owner may have lost its last dependent."""
        node = self.nodes.pop(uid, None)
        if node is None:
            return set()
        for owner in node.owners:
            self._take(owner.uid, uid)
        return set(self._dependents.get(uid, ())) | self._waiting(o.uid for o in node.owners)

    def unowned(self) -> set[str]:
        """Nodes with an owner that is not known: what has to be looked at once after everything has been listed."""
        return {uid for owner, uids in self._dependents.items() if owner not in self.nodes for uid in uids}

    def in_transition(self) -> set[str]:
        """Nodes whose deletion waits for us: foreground or orphaning, and the dependents of the former."""
        found = {n.uid for n in self.nodes.values() if n.foreground or n.orphaning}
        return found | {d for uid in found for d in self._dependents.get(uid, ())}

    def _waiting(self, uids: Iterable[str]) -> set[str]:
        return {uid for uid in uids if uid in self.nodes and self.nodes[uid].foreground}

    def _take(self, owner: str, uid: str) -> None:
        members = self._dependents.get(owner)
        if members is not None:
            members.discard(uid)
            if not members:
                del self._dependents[owner]
