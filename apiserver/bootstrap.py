"""What every cluster has: namespaces, priority classes, default RBAC, the ServiceCIDR, and the Service `kubernetes` in front of
the live API servers.

Each step may be run again and by several servers at once: it creates what is missing and leaves what is right alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api import errors, timestamp
from api.resources import (
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    CONFIGMAPS,
    NAMESPACES,
    PRIORITYCLASSES,
    ROLEBINDINGS,
    ROLES,
    SERVICECIDRS,
)
from api.roles import aggregated
from api.types import Object, Resource
from apiserver.admission.priority import SYSTEM_CLASSES
from apiserver.auth import grants
from apiserver.auth.policy import AUTOUPDATE
from apiserver.auth.rules import Rule, uncovered
from client.backoff import Backoff

if TYPE_CHECKING:
    from apiserver.core import Core

log = logging.getLogger("apiserver.bootstrap")

SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease", "default")
PARALLEL = 16


async def namespaces(core: Core) -> None:
    """Make the namespaces that are always there."""
    wanted = [
        {
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        }
        for name in SYSTEM_NAMESPACES
    ]
    await _together(ensure(core, NAMESPACES, obj) for obj in wanted)


async def priority_classes(core: Core) -> None:
    """Make the two system priority classes."""
    wanted = [
        {
            "metadata": {"name": name, "generation": 1},
            "value": value,
            "description": description,
            "globalDefault": False,
            "preemptionPolicy": "PreemptLowerPriority",
        }
        for name, (value, description) in SYSTEM_CLASSES.items()
    ]
    await _together(ensure(core, PRIORITYCLASSES, obj) for obj in wanted)


async def rbac(core: Core) -> None:
    """Make the default roles and bindings; give back to those that exist what they have lost.

    An object annotated `rbac.authorization.kubernetes.io/autoupdate: "false"` is left as it is.
    """
    await _together(reconcile_role(core, role.as_object()) for role in grants.ROLES)
    await _together(reconcile_binding(core, grant.as_object()) for grant in grants.GRANTS)
    await aggregate(core)


async def aggregate(core: Core) -> None:
    """Gather the rules of aggregated roles, so that they are right before a controller runs; it keeps them so.

    Aggregates of aggregates need a round each.
    """
    await core.feed.fresh()
    roles = {str(role["metadata"]["name"]): role for role in core.lookup.list(CLUSTERROLES)}
    for _ in range(len(roles)):
        whole = {name: aggregated(role, roles.values()) for name, role in roles.items() if role.get("aggregationRule")}
        stale = {name: rules for name, rules in whole.items() if rules != (roles[name].get("rules") or [])}
        if not stale:
            return
        await _together(_write_rules(core, name, rules) for name, rules in stale.items())
        roles |= {name: {**roles[name], "rules": rules} for name, rules in stale.items()}


async def _write_rules(core: Core, name: str, rules: list[Object]) -> None:
    await core.update(CLUSTERROLES, "", name, lambda role: {**role, "rules": rules})


async def service_cidr(core: Core) -> None:
    """Make the default ServiceCIDR."""
    ready = {"type": "Ready", "status": "True", "reason": "", "message": "Kubernetes default Service CIDR is ready"}
    ready["lastTransitionTime"] = timestamp.now()
    wanted = {
        "metadata": {"name": "kubernetes", "finalizers": ["networking.k8s.io/service-cidr-finalizer"]},
        "spec": {"cidrs": [core.options.service_cluster_ip_range]},
        "status": {"conditions": [ready]},
    }
    await ensure(core, SERVICECIDRS, wanted)


async def authentication_config(core: Core) -> None:
    """Publish the client CA for servers that extend the API, now and whenever its file has changed.

    It stands in kube-system/extension-apiserver-authentication.
    """
    path = core.options.client_ca_file
    if path is not None:
        await _publish_ca(core, path)
        core.files.add((path,), lambda: core.spawn(_insist(lambda: _publish_ca(core, path))))


async def _publish_ca(core: Core, path: Path) -> None:
    data = {"client-ca-file": await asyncio.to_thread(path.read_text)}
    meta = {"name": "extension-apiserver-authentication", "namespace": "kube-system"}
    created = await ensure(core, CONFIGMAPS, {"metadata": meta, "data": data})
    if not created:
        await _merge_data(core, meta["namespace"], meta["name"], data)


async def _insist(step: Callable[[], Coroutine[Any, Any, None]]) -> None:
    pauses = Backoff(1.0)
    while True:
        try:
            await step()
            return
        except errors.ApiError as error:
            log.warning("cannot publish the client CA yet: %s", error)
        await asyncio.sleep(pauses.next())


async def _merge_data(core: Core, namespace: str, name: str, data: dict[str, str]) -> None:
    def merge(current: Object) -> Object:
        return {**current, "data": {**(current.get("data") or {}), **data}}

    present = core.lookup.get(CONFIGMAPS, namespace, name)
    if present is None or any((present.get("data") or {}).get(key) != value for key, value in data.items()):
        await core.update(CONFIGMAPS, namespace, name, merge)


async def ensure(core: Core, resource: Resource, wanted: Object) -> bool:
    """Create an object unless it is there; return whether this call made it."""
    meta = wanted["metadata"]
    if core.lookup.get(resource, meta.get("namespace", ""), meta["name"]) is not None:
        return False
    try:
        await core.create(resource, wanted)
    except errors.AlreadyExists:
        return False
    return True


async def reconcile_role(core: Core, wanted: Object) -> None:
    """Create a default role, or add the rules, labels and annotations that an existing one lacks."""
    resource = ROLES if wanted["kind"] == "Role" else CLUSTERROLES
    await _reconcile(core, resource, wanted, completed_role)


async def reconcile_binding(core: Core, wanted: Object) -> None:
    """Create a default binding, or add the subjects an existing one lacks; one that binds another role is replaced."""
    resource = ROLEBINDINGS if wanted["kind"] == "RoleBinding" else CLUSTERROLEBINDINGS
    meta = wanted["metadata"]
    present = core.lookup.get(resource, meta.get("namespace", ""), meta["name"])
    if present is not None and present["roleRef"] != wanted["roleRef"] and _may_update(present):
        await core.remove(resource, meta.get("namespace", ""), meta["name"])
        await core.feed.fresh()
    await _reconcile(core, resource, wanted, completed_binding)


async def _reconcile(
    core: Core, resource: Resource, wanted: Object, complete: Callable[[Object, Object], Object]
) -> None:
    if await ensure(core, resource, wanted):
        return
    meta = wanted["metadata"]
    namespace, name = meta.get("namespace", ""), meta["name"]
    present = core.lookup.get(resource, namespace, name)
    if present is None:
        await core.feed.fresh()
        present = core.lookup.get(resource, namespace, name)
    if present is not None and _may_update(present) and complete(present, wanted) != present:
        await core.update(resource, namespace, name, lambda current: complete(current, wanted))


def _may_update(obj: Object) -> bool:
    return (obj["metadata"].get("annotations") or {}).get(AUTOUPDATE) != "false"


def _completed_meta(present: Object, wanted: Object) -> Object:
    meta = dict(present["metadata"])
    for field in ("labels", "annotations"):
        meta[field] = {**(meta.get(field) or {}), **(wanted["metadata"].get(field) or {})}
    return meta


def completed_role(present: Object, wanted: Object) -> Object:
    """Return the role with what it lacks of the default; rules somebody has added stay."""
    new = {**present, "metadata": _completed_meta(present, wanted)}
    if "aggregationRule" in wanted:
        new.setdefault("aggregationRule", wanted["aggregationRule"])
        return new
    owned: list[Rule] = list(present.get("rules") or ())
    missing = [rule for rule in wanted.get("rules") or () if uncovered(owned, [rule])]
    if missing:
        new["rules"] = [*owned, *missing]
    return new


def completed_binding(present: Object, wanted: Object) -> Object:
    """Return the binding with the default's subjects; subjects somebody has added stay."""
    new = {**present, "metadata": _completed_meta(present, wanted)}
    subjects = list(present.get("subjects") or ())
    missing = [subject for subject in wanted.get("subjects") or () if subject not in subjects]
    if missing:
        new["subjects"] = [*subjects, *missing]
    return new


async def _together(steps: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Run many small writes, a bounded number at a time. The first failure ends the rest."""
    limit = asyncio.Semaphore(PARALLEL)

    async def bounded(step: Coroutine[Any, Any, object]) -> None:
        async with limit:
            await step

    async with asyncio.TaskGroup() as group:
        for step in steps:
            group.create_task(bounded(step))
