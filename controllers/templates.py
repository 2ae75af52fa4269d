"""Pod templates: fingerprints of them, comparing them, and the pod that one describes. Pure."""

from __future__ import annotations

import copy
import hashlib
import json

from api import meta
from api.types import Object, Resource

HASH_LABEL = "pod-template-hash"
REVISION_LABEL = "controller-revision-hash"
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels and no digits that look like letters, so that no name spells a word (Kubernetes' `rand` package)."""


def fingerprint(value: object, collisions: int | None = None) -> str:
    """A short name part (at most 10 characters) that depends on the value's content and on `collisions` alone."""
    digest = hashlib.blake2b(json.dumps(value, sort_keys=True, separators=(",", ":")).encode(), digest_size=4)
    if collisions is not None:
        digest.update(collisions.to_bytes(8, "little", signed=True))
    number = int.from_bytes(digest.digest(), "big")
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(number))


def comparable(template: Object) -> Object:
    """The template without what a controller added (the hash label) and without empty metadata."""
    metadata = {k: v for k, v in (template.get("metadata") or {}).items() if v}
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k != HASH_LABEL}
    return {**template, "metadata": {**metadata, "labels": labels}}


def same_template(one: Object, other: Object) -> bool:
    """Whether two templates describe the same pods, the hash label aside."""
    return comparable(one) == comparable(other)


def pod_from(template: Object, resource: Resource, owner: Object, *, name: str = "") -> Object:
    """The pod to create for `owner`: the template's metadata and spec, the owner as controller, a name or a prefix."""
    given = template.get("metadata") or {}
    metadata: Object = {k: copy.deepcopy(given[k]) for k in ("labels", "annotations", "finalizers") if given.get(k)}
    metadata["ownerReferences"] = [meta.owner_reference(resource, owner)]
    metadata["namespace"] = meta.namespace(owner)
    if name:
        metadata["name"] = name
    else:
        metadata["generateName"] = f"{meta.name(owner)}-"
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": copy.deepcopy(template["spec"])}
