"""LimitRanger: defaults for containers' requests and limits, and bounds on containers, pods and claims.

Source: Kubernetes, "Limit Ranges". Quantities are compared as exact decimals; messages keep the words users wrote.
"""

from collections.abc import Iterator
from decimal import Decimal

from api import errors, pods, quantity, quota
from api.pods import is_mirror
from api.resources import LIMITRANGES, PERSISTENTVOLUMECLAIMS, PODS
from api.types import Object
from apiserver.admission.podspec import containers
from apiserver.auth.lookup import Lookup
from apiserver.plugins import AdmissionRequest

ANNOTATION = "kubernetes.io/limit-ranger"
Amounts = dict[str, str]


class LimitRanger:
    """Promises: what a LimitRange's `default` and `defaultRequest` say is put into containers that say nothing (named in an
    annotation); every bound that is broken is listed in one Forbidden."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def __call__(self, request: AdmissionRequest) -> None:
        """Complete and check a pod or a claim."""
        obj = request.object
        if obj is None or request.operation not in ("CREATE", "UPDATE"):
            return
        if request.resource is PODS:
            if request.subresource == "resize" or (not request.subresource and request.operation == "CREATE"):
                self._pod(request, obj)
        elif request.resource is PERSISTENTVOLUMECLAIMS and not request.subresource:
            found = [broken for item in self._items(request.namespace) for broken in claim_violations(item, obj)]
            _refuse(request, found)

    def _items(self, namespace: str) -> list[Object]:
        ranges = sorted(self._lookup.list(LIMITRANGES, namespace), key=lambda r: str(r["metadata"]["name"]))
        return [item for limit_range in ranges for item in limit_range["spec"].get("limits") or ()]

    def _pod(self, request: AdmissionRequest, pod: Object) -> None:
        items = self._items(request.namespace)
        if not items or is_mirror(pod):
            return
        if not request.subresource:
            apply_defaults(items, pod)
            pod.setdefault("status", {})["qosClass"] = pods.qos_class(pod)
        _refuse(request, [broken for item in items for broken in pod_violations(item, pod)])


def _refuse(request: AdmissionRequest, found: list[str]) -> None:
    if found:
        why = found[0] if len(found) == 1 else f"[{', '.join(found)}]"
        raise errors.forbidden(request.resource, request.name, why)


def apply_defaults(items: list[Object], pod: Object) -> None:
    """Fill in what containers leave open, in place, and note it in the annotation."""
    limits: Amounts = {}
    requests: Amounts = {}
    for item in items:
        if item.get("type") == "Container":
            for wanted, given in ((limits, item.get("default")), (requests, item.get("defaultRequest"))):
                for name, amount in (given or {}).items():
                    wanted.setdefault(name, amount)
    notes = []
    for kind, container in _labelled(pod["spec"]):
        resources = container.get("resources") or {}
        for field, wanted in (("requests", requests), ("limits", limits)):
            present = resources.get(field) or {}
            missing = {name: amount for name, amount in wanted.items() if name not in present}
            if missing:
                resources[field] = {**present, **missing}
                notes.append(f"{', '.join(sorted(missing))} {field[:-1]} for {kind} {container['name']}")
        if resources:
            container["resources"] = resources
    if notes:
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations[ANNOTATION] = "LimitRanger plugin set: " + "; ".join(notes)


def _labelled(spec: Object) -> Iterator[tuple[str, Object]]:
    for container in containers(spec, ("containers",)):
        yield "container", container
    for container in containers(spec, ("initContainers",)):
        yield "init container", container


def pod_violations(item: Object, pod: Object) -> list[str]:
    """Return what a pod breaks of one item of a LimitRange of type Container or Pod."""
    spec = pod["spec"]
    if item.get("type") == "Container":
        all_containers = list(containers(spec, ("containers", "initContainers")))
        return [broken for container in all_containers for broken in _broken(item, *_resources(container))]
    if item.get("type") == "Pod":
        requests, limits = pod_totals(spec)
        return _broken(item, requests, limits)
    return []


def claim_violations(item: Object, claim: Object) -> list[str]:
    """Return what a claim breaks of one item of a LimitRange of type PersistentVolumeClaim."""
    if item.get("type") != "PersistentVolumeClaim":
        return []
    requests, _ = _resources(claim["spec"])
    found = []
    for name, bound in (item.get("min") or {}).items():
        found += _below(name, "PersistentVolumeClaim", bound, requests.get(name), None)
    for name, bound in (item.get("max") or {}).items():
        given = requests.get(name)
        if given is not None and given > quantity.parse(bound):
            found.append(
                f"maximum {name} usage per PersistentVolumeClaim is {bound}, but request is {quota.text(name, given)}"
            )
    return found


def _resources(owner: Object) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    resources = owner.get("resources") or {}
    requests = {name: quantity.parse(amount) for name, amount in (resources.get("requests") or {}).items()}
    limits = {name: quantity.parse(amount) for name, amount in (resources.get("limits") or {}).items()}
    return requests, limits


def pod_totals(spec: Object) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """Return a pod's (requests, limits): the sum over containers, or one init container's where that is more.

    A limit is left out as soon as one container has none: then the pod is not bounded.
    """
    requests: dict[str, Decimal] = {}
    limits: dict[str, Decimal] = {}
    unlimited: set[str] = set()
    main = list(containers(spec, ("containers",)))
    pairs = [_resources(container) for container in main]
    names = {name for _, container_limits in pairs for name in container_limits}
    for container_requests, container_limits in pairs:
        for name, amount in container_requests.items():
            requests[name] = requests.get(name, Decimal(0)) + amount
        for name, amount in container_limits.items():
            limits[name] = limits.get(name, Decimal(0)) + amount
        unlimited |= names - container_limits.keys()
    for container in containers(spec, ("initContainers",)):
        for totals, amounts in zip((requests, limits), _resources(container), strict=True):
            for name, amount in amounts.items():
                totals[name] = max(totals.get(name, Decimal(0)), amount)
    return requests, {name: amount for name, amount in limits.items() if name not in unlimited}


def _broken(item: Object, requests: dict[str, Decimal], limits: dict[str, Decimal]) -> list[str]:
    kind = str(item["type"])
    found = []
    for name, bound in (item.get("min") or {}).items():
        found += _below(name, kind, bound, requests.get(name), limits.get(name))
    for name, bound in (item.get("max") or {}).items():
        found += _above(name, kind, bound, requests.get(name), limits.get(name))
    for name, ratio in (item.get("maxLimitRequestRatio") or {}).items():
        found += _ratio(name, kind, ratio, requests.get(name), limits.get(name))
    return found


def _below(name: str, kind: str, bound: str, request: Decimal | None, limit: Decimal | None) -> list[str]:
    least = quantity.parse(bound)
    if request is None:
        return [f"minimum {name} usage per {kind} is {bound}.  No request is specified"]
    found = []
    if request < least:
        found.append(f"minimum {name} usage per {kind} is {bound}, but request is {quota.text(name, request)}")
    if limit is not None and limit < least:
        found.append(f"minimum {name} usage per {kind} is {bound}, but limit is {quota.text(name, limit)}")
    return found


def _above(name: str, kind: str, bound: str, request: Decimal | None, limit: Decimal | None) -> list[str]:
    most = quantity.parse(bound)
    if limit is None:
        return [f"maximum {name} usage per {kind} is {bound}.  No limit is specified"]
    found = []
    if limit > most:
        found.append(f"maximum {name} usage per {kind} is {bound}, but limit is {quota.text(name, limit)}")
    if request is not None and request > most:
        found.append(f"maximum {name} usage per {kind} is {bound}, but request is {quota.text(name, request)}")
    return found


def _ratio(name: str, kind: str, ratio: str, request: Decimal | None, limit: Decimal | None) -> list[str]:
    head = f"{name} max limit to request ratio per {kind} is {ratio}, but"
    if not request:
        return [f"{head} no request is specified or request is 0"]
    if not limit:
        return [f"{head} no limit is specified or limit is 0"]
    given = limit / request
    return [f"{head} provided ratio is {given:f}"] if given > quantity.parse(ratio) else []
