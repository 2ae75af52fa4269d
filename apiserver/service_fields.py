"""The fields of a Service that the server fills in or carries over: address families, allocated values. Pure.

Source: Kubernetes, Service API reference, "ipFamilies", "ipFamilyPolicy", and what an update may leave out.
"""

from api.errors import FieldError
from api.services import is_headless
from api.types import Object

ADDRESSLESS = frozenset({"", "None"})
NODE_PORT_TYPES = ("NodePort", "LoadBalancer")
SINGLE, PREFER_DUAL, REQUIRE_DUAL = "SingleStack", "PreferDualStack", "RequireDualStack"


def family_errors(service: Object) -> list[FieldError]:
    """Return what a cluster that speaks IPv4 alone cannot give."""
    spec = service["spec"]
    if spec.get("type") == "ExternalName" or (is_headless(service) and not spec.get("selector")):
        return []
    found = []
    if spec.get("ipFamilyPolicy") == REQUIRE_DUAL:
        why = "this cluster is not configured for dual-stack services"
        found.append(FieldError("spec.ipFamilyPolicy", "Invalid value", REQUIRE_DUAL, why))
    for index, family in enumerate(spec.get("ipFamilies") or ()):
        if family == "IPv6":
            found.append(
                FieldError(f"spec.ipFamilies[{index}]", "Invalid value", family, "not configured on this cluster")
            )
    return found


def set_families(service: Object) -> None:
    """Fill in clusterIPs, ipFamilies and ipFamilyPolicy, in place."""
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            spec.pop(field, None)
        return
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    elif spec.get("clusterIPs") and not spec.get("clusterIP"):
        spec["clusterIP"] = spec["clusterIPs"][0]
    if is_headless(service) and not spec.get("selector"):
        spec.setdefault("ipFamilyPolicy", REQUIRE_DUAL)
        dual = spec["ipFamilyPolicy"] != SINGLE
        families = list(spec.get("ipFamilies") or ["IPv4"])
        if dual and len(families) == 1:
            families.append("IPv6" if families[0] == "IPv4" else "IPv4")
        spec["ipFamilies"] = families
        return
    spec.setdefault("ipFamilyPolicy", SINGLE)
    if not spec.get("ipFamilies"):
        spec["ipFamilies"] = ["IPv4"]


def carry_over(new: Object, old: Object) -> None:
    """Keep allocated values that an update leaves out, and drop those its new type does not have, in place.

    A value is dropped only when the update did not change it itself: what a user wrote is for validation to judge.
    """
    now, before = new["spec"], old["spec"]
    kind, kind_before = now.get("type", "ClusterIP"), before.get("type", "ClusterIP")
    if kind == "ExternalName":
        if kind_before != "ExternalName":
            for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                if now.get(field) == before.get(field):
                    now.pop(field, None)
    elif kind_before != "ExternalName" and not now.get("clusterIP") and not now.get("clusterIPs"):
        for field in ("clusterIP", "clusterIPs"):
            if before.get(field):
                now[field] = before[field]
    if kind in NODE_PORT_TYPES and kind_before in NODE_PORT_TYPES:
        _keep_node_ports(now, before)
    elif kind_before in NODE_PORT_TYPES:
        _drop_node_ports(now, before)
    keeps_health = kind == "LoadBalancer" and now.get("externalTrafficPolicy") == "Local"
    health = before.get("healthCheckNodePort")
    if keeps_health and health and not now.get("healthCheckNodePort"):
        now["healthCheckNodePort"] = health
    elif not keeps_health and now.get("healthCheckNodePort") == health:
        now.pop("healthCheckNodePort", None)
    _drop_type_fields(now, before, kind, kind_before)


def _keep_node_ports(now: Object, before: Object) -> None:
    known = {
        (p.get("protocol", "TCP"), p["port"]): p["nodePort"] for p in before.get("ports") or () if p.get("nodePort")
    }
    used = {p["nodePort"] for p in now.get("ports") or () if p.get("nodePort")}
    for port in now.get("ports") or ():
        kept = known.get((port.get("protocol", "TCP"), port["port"]))
        if not port.get("nodePort") and kept and kept not in used:
            port["nodePort"] = kept


def _drop_node_ports(now: Object, before: Object) -> None:
    old = {p.get("nodePort") for p in before.get("ports") or ()}
    for port in now.get("ports") or ():
        if port.get("nodePort") in old:
            port.pop("nodePort", None)


def _drop_type_fields(now: Object, before: Object, kind: str, kind_before: str) -> None:
    if kind_before == "LoadBalancer" and kind != "LoadBalancer":
        for field in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if now.get(field) == before.get(field):
                now.pop(field, None)
    outward_before = kind_before in NODE_PORT_TYPES or bool(before.get("externalIPs"))
    outward = kind in NODE_PORT_TYPES or bool(now.get("externalIPs"))
    if outward_before and not outward and now.get("externalTrafficPolicy") == before.get("externalTrafficPolicy"):
        now.pop("externalTrafficPolicy", None)
