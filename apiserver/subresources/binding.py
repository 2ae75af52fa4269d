"""pods/binding and bindings: put a pod on a node, once. Source: Kubernetes, Binding API."""

from __future__ import annotations

from api import errors, timestamp
from api.errors import FieldError
from api.meta import set_condition
from api.resources import BINDINGS, NODES, PODS
from api.types import Object, Resource
from apiserver import body, params
from apiserver.core import Core, key_of
from apiserver.handlers import write
from apiserver.request import Reply, Request
from apiserver.store import Unchanged

SUCCESS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
TOPOLOGY_LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


async def pod_binding(core: Core, request: Request, resource: Resource) -> Reply:
    """POST .../pods/NAME/binding."""
    if request.info.verb != "create":
        raise errors.MethodNotAllowed("a binding is only created")
    return await _bind(core, request, request.info.name)


async def bindings(core: Core, request: Request, resource: Resource) -> Reply:
    """POST .../bindings: the pod is named by the binding's metadata."""
    return await _bind(core, request, "")


async def _bind(core: Core, request: Request, name: str) -> Reply:
    options = params.write_options(request, "CreateOptions")
    given, twice = await body.read_object(request)
    binding = body.normalise(request, BINDINGS, given, options.validation, twice)
    meta = binding.get("metadata") or {}
    if name and meta.get("name", name) != name:
        raise errors.BadRequest(f"name in URL does not match name in Binding object: {meta.get('name')}")
    name = name or str(meta.get("name", ""))
    if found := target_errors(binding):
        raise errors.invalid(BINDINGS, name, found)
    asked = write.admission(core, request, PODS, "CREATE", binding, None, name=name, dry_run=options.dry_run)
    asked.subresource = "binding"
    await core.admit(asked)
    node = core.lookup.get(NODES, "", binding["target"]["name"])

    async def bind(current: Object) -> Object:
        new = bound(current, binding, timestamp.now(), node)
        if options.dry_run:
            raise Unchanged(new)
        return new

    key = key_of(PODS, request.info.namespace, name)
    await core.store.modify(core.cache(PODS), key, name, bind)
    return Reply.of(SUCCESS, 201)


def target_errors(binding: Object) -> list[FieldError]:
    """Return what is wrong with a binding's target."""
    target = binding.get("target") or {}
    found = []
    if target.get("kind") not in (None, "", "Node"):
        found.append(
            FieldError("target.kind", "Unsupported value", target["kind"], 'supported values: "Node", "<empty>"')
        )
    if not target.get("name"):
        found.append(FieldError("target.name", "Required value", None, ""))
    return found


def bound(pod: Object, binding: Object, now: str, node: Object | None = None) -> Object:
    """Return the pod assigned to the binding's node, with PodScheduled true. Raises Conflict when it cannot be."""
    meta, spec, wanted = pod["metadata"], pod["spec"], binding.get("metadata") or {}
    name, target = meta["name"], binding["target"]["name"]
    if wanted.get("uid") and wanted["uid"] != meta["uid"]:
        raise _conflict(
            name, f"Precondition failed: UID in precondition: {wanted['uid']}, UID in object meta: {meta['uid']}"
        )
    if meta.get("deletionTimestamp"):
        raise _conflict(name, f"pod {name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        raise _conflict(name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise _conflict(name, f"pod {name} has non-empty .spec.schedulingGates")
    new_meta = dict(meta)
    if wanted.get("annotations"):
        new_meta["annotations"] = {**(meta.get("annotations") or {}), **wanted["annotations"]}
    labels = _topology(node) | (wanted.get("labels") or {})
    if labels:
        new_meta["labels"] = {**(meta.get("labels") or {}), **labels}
    status = dict(pod.get("status") or {})
    conditions = list(status.get("conditions") or ())
    set_condition(conditions, "PodScheduled", "True", now=now)
    status["conditions"] = conditions
    return {**pod, "metadata": new_meta, "spec": {**spec, "nodeName": target}, "status": status}


def _topology(node: Object | None) -> dict[str, str]:
    """Return the node's zone and region, which its pods carry too (KEP-4742)."""
    labels = ((node or {}).get("metadata") or {}).get("labels") or {}
    return {key: labels[key] for key in TOPOLOGY_LABELS if key in labels}


def _conflict(name: str, why: str) -> errors.Conflict:
    details = {"name": name, "kind": "pods/binding"}
    return errors.Conflict(f'Operation cannot be fulfilled on pods/binding "{name}": {why}', details)
