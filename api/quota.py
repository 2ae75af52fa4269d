"""What an object counts against a ResourceQuota, and which quotas concern it. Pure; server and quota controller share it.

Source: Kubernetes, "Resource Quotas". Amounts are exact decimals in base units (cores, bytes, pieces).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from api import pods as pod_facts
from api import quantity
from api.types import Object, Resource

Usage = dict[str, Decimal]

_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_LEGACY = (
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
)
_CLASS_SUFFIX = ".storageclass.storage.k8s.io/"
_MUST_BE_SAID = frozenset({"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})
_BINARY_NAMES = ("memory", "storage", "hugepages-")
BETA_CLASS = "volume.beta.kubernetes.io/storage-class"


def usage(resource: Resource, obj: Object) -> Usage:
    """Everything the object counts for: {"pods": 1, "requests.cpu": 0.5, "count/pods": 1, ...}."""
    counted: Usage = {f"count/{resource.qualified}": Decimal(1)}
    if resource.group:
        return counted
    if resource.plural == "pods":
        return counted | _pod(obj)
    if resource.plural in _LEGACY:
        counted[resource.plural] = Decimal(1)
    if resource.plural == "services":
        counted |= _service(obj)
    elif resource.plural == "persistentvolumeclaims":
        counted |= _claim(obj)
    return counted


def _pod(pod: Object) -> Usage:
    if pod_facts.is_terminal(pod):
        return {}
    counted: Usage = {"pods": Decimal(1)}
    for name, amount in _total(pod, "requests").items():
        counted[f"requests.{name}"] = amount
        if name in _COMPUTE or name.startswith("hugepages-"):
            counted[name] = amount
    for name, amount in _total(pod, "limits").items():
        if name in _COMPUTE:
            counted[f"limits.{name}"] = amount
    return counted


def _total(pod: Object, field: str) -> Usage:
    """A pod's requests or limits: containers and sidecars together, or one init container's peak, plus overhead."""
    spec = pod["spec"]
    total, sidecars, peak = _sum(spec.get("containers") or (), field), Usage(), Usage()
    for container in spec.get("initContainers") or ():
        amounts = _sum((container,), field)
        if container.get("restartPolicy") == "Always":
            _add(sidecars, amounts)
            _add(total, amounts)
            amounts = dict(sidecars)
        else:
            _add(amounts, sidecars)
        for name, amount in amounts.items():
            peak[name] = max(peak.get(name, Decimal(0)), amount)
    for name, amount in peak.items():
        total[name] = max(total.get(name, Decimal(0)), amount)
    total |= _sum((spec,), field)
    for name, text in (spec.get("overhead") or {}).items():
        if field == "requests" or name in total:
            _add(total, {name: quantity.parse(text)})
    return total


def _sum(owners: Iterable[Object], field: str) -> Usage:
    total: Usage = {}
    for owner in owners:
        given = (owner.get("resources") or {}).get(field) or {}
        _add(total, {name: quantity.parse(text) for name, text in given.items()})
    return total


def _add(total: Usage, more: Mapping[str, Decimal]) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, Decimal(0)) + amount


def _service(service: Object) -> Usage:
    spec = service["spec"]
    kind, ports = spec.get("type", "ClusterIP"), spec.get("ports") or ()
    nodeports = len(ports) if kind in ("NodePort", "LoadBalancer") else 0
    if kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is False:
        nodeports = sum(1 for port in ports if port.get("nodePort"))
    return {"services.nodeports": Decimal(nodeports), "services.loadbalancers": Decimal(int(kind == "LoadBalancer"))}


def _claim(claim: Object) -> Usage:
    asked = ((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", "0")
    allocated = ((claim.get("status") or {}).get("allocatedResources") or {}).get("storage", "0")
    size = max(quantity.parse(asked), quantity.parse(allocated))
    counted: Usage = {"requests.storage": size}
    name = (claim["metadata"].get("annotations") or {}).get(BETA_CLASS) or claim["spec"].get("storageClassName")
    if name:
        counted |= {
            f"{name}{_CLASS_SUFFIX}requests.storage": size,
            f"{name}{_CLASS_SUFFIX}persistentvolumeclaims": Decimal(1),
        }
    return counted


def _has_deadline(pod: Object) -> bool:
    return pod["spec"].get("activeDeadlineSeconds") is not None


def _is_best_effort(pod: Object) -> bool:
    return pod_facts.qos_class(pod) == "BestEffort"


def _crosses_namespaces(pod: Object) -> bool:
    affinity = pod["spec"].get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        terms = list(rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        terms += [
            w.get("podAffinityTerm") or {} for w in rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        ]
        if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms):
            return True
    return False


_SCOPES: dict[str, Callable[[Object], bool]] = {
    "Terminating": _has_deadline,
    "NotTerminating": lambda pod: not _has_deadline(pod),
    "BestEffort": _is_best_effort,
    "NotBestEffort": lambda pod: not _is_best_effort(pod),
    "CrossNamespacePodAffinity": _crosses_namespaces,
}


def _in_scope(requirement: Object, resource: Resource, obj: Object) -> bool:
    scope, operator = requirement["scopeName"], requirement.get("operator", "Exists")
    if resource.plural == "persistentvolumeclaims" and scope == "VolumeAttributesClass":
        value = obj["spec"].get("volumeAttributesClassName") or ""
    elif resource.plural != "pods":
        return False
    elif scope == "PriorityClass":
        value = obj["spec"].get("priorityClassName") or ""
    else:
        holds = _SCOPES.get(scope)
        return holds is not None and holds(obj)
    values = requirement.get("values") or ()
    return {"In": value in values, "NotIn": value not in values, "Exists": bool(value), "DoesNotExist": not value}[
        operator
    ]


def applies(quota: Object, resource: Resource, obj: Object) -> bool:
    """Whether the quota's scopes hold for the object. A quota without scopes applies to everything."""
    spec = quota["spec"]
    requirements = [{"scopeName": scope} for scope in spec.get("scopes") or ()]
    requirements += (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    return all(_in_scope(requirement, resource, obj) for requirement in requirements)


def unsaid(hard: Iterable[str], pod: Object) -> dict[str, list[str]]:
    """Which limits or requests the quota needs and containers do not state: {"limits.cpu": ["web"]}."""
    missing: dict[str, list[str]] = {}
    spec = pod["spec"]
    for name in sorted(set(hard) & _MUST_BE_SAID):
        field, _, plain = name.rpartition(".")
        for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
            given = (container.get("resources") or {}).get(field or "requests") or {}
            whole = (spec.get("resources") or {}).get(field or "requests") or {}
            if plain not in given and plain not in whole:
                missing.setdefault(name, []).append(container["name"])
    return missing


def text(name: str, amount: Decimal) -> str:
    """An amount as quotas show it: bytes with a binary suffix, CPU in millicores where needed."""
    plain = name.rpartition(".")[2].rpartition("/")[2]
    whole = amount == amount.to_integral_value()
    if plain.startswith(_BINARY_NAMES) and whole and amount and int(amount) % 1024 == 0:
        return quantity.canonical(f"{int(amount) // 1024}Ki")
    if whole:
        return quantity.canonical(str(int(amount)))
    return quantity.canonical(f"{int((amount * 1000).to_integral_value(rounding='ROUND_CEILING'))}m")
