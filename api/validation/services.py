"""The rules of services, endpoints and the kinds of networking.k8s.io."""

import ipaddress

from api.types import Object
from api.validation import metadata, names, selectors
from api.validation.containers import port
from api.validation.errors import Errors


def service(obj: Object, errors: Errors) -> None:
    """A Service, new or updated."""
    spec = obj.get("spec")
    if spec is None:
        errors.required("spec")
        return
    kind, cluster_ip = spec.get("type", "ClusterIP"), spec.get("clusterIP")
    if not spec.get("ports") and kind != "ExternalName" and cluster_ip != "None":
        errors.required("spec.ports")
    if kind == "ExternalName":
        _external_name(spec, errors)
    elif kind == "LoadBalancer" and cluster_ip == "None":
        errors.invalid("spec.clusterIPs[0]", "None", "may not be set to 'None' for LoadBalancer services")
    if cluster_ip and cluster_ip != "None" and kind != "ExternalName":
        errors.each("spec.clusterIPs[0]", cluster_ip, names.ip(cluster_ip))
    _service_ports(spec, kind, errors)
    metadata.labels(spec.get("selector"), errors, "spec.selector")
    for index, address in enumerate(spec.get("externalIPs") or ()):
        non_special_ip(address, errors, f"spec.externalIPs[{index}]")
    for index, source in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        if kind != "LoadBalancer":
            errors.forbidden("spec.LoadBalancerSourceRanges", "may only be used when `type` is 'LoadBalancer'")
            break
        errors.each(f"spec.loadBalancerSourceRanges[{index}]", source, names.cidr(source.strip()))
    if spec.get("allocateLoadBalancerNodePorts") is not None and kind != "LoadBalancer":
        errors.forbidden("spec.allocateLoadBalancerNodePorts", "may only be used when `type` is 'LoadBalancer'")
    if spec.get("loadBalancerClass") and kind != "LoadBalancer":
        errors.forbidden("spec.loadBalancerClass", "may only be used when `type` is 'LoadBalancer'")
    if spec.get("externalTrafficPolicy") and kind == "ClusterIP" and not spec.get("externalIPs"):
        errors.invalid(
            "spec.externalTrafficPolicy",
            spec["externalTrafficPolicy"],
            "may only be set for externally-accessible services",
        )


def _external_name(spec: Object, errors: Errors) -> None:
    if spec.get("clusterIP"):
        errors.forbidden("spec.clusterIPs", "may not be set when `type` is 'ExternalName'")
    name = str(spec.get("externalName") or "").removesuffix(".")
    if not name:
        errors.required("spec.externalName")
    else:
        errors.each("spec.externalName", name, names.dns_subdomain(name))


def _service_ports(spec: Object, kind: str, errors: Errors) -> None:
    ports = spec.get("ports") or ()
    taken_names, taken_ports, taken_nodes = set(), set(), set()
    for index, each in enumerate(ports):
        here = f"spec.ports[{index}]"
        name = each.get("name")
        if not name and len(ports) > 1:
            errors.required(f"{here}.name")
        elif name:
            errors.each(f"{here}.name", name, names.dns_label(name))
            if name in taken_names:
                errors.duplicate(f"{here}.name", name)
            taken_names.add(name)
        if each.get("port") is None:
            errors.invalid(f"{here}.port", 0, "must be between 1 and 65535, inclusive")
        elif each.get("targetPort") is not None:
            port(each["targetPort"], errors, f"{here}.targetPort")
        pair = (each.get("protocol"), each.get("port"))
        if pair in taken_ports:
            errors.duplicate(here, f"{pair[1]}/{pair[0]}")
        taken_ports.add(pair)
        node = each.get("nodePort")
        if not node:
            continue
        if kind not in ("NodePort", "LoadBalancer"):
            errors.forbidden(f"{here}.nodePort", f"may not be used when `type` is '{kind}'")
        if (pair[0], node) in taken_nodes:
            errors.duplicate(f"{here}.nodePort", node)
        taken_nodes.add((pair[0], node))


def update_service(new: Object, old: Object, errors: Errors) -> None:
    """A cluster address stays while the Service has one; a load balancer's class stays too."""
    after, before = new.get("spec") or {}, old.get("spec") or {}
    both = after.get("type") != "ExternalName" and before.get("type") != "ExternalName"
    if both and before.get("clusterIP") and after.get("clusterIP") != before["clusterIP"]:
        errors.invalid(
            "spec.clusterIPs[0]", after.get("clusterIPs") or after.get("clusterIP"), "may not change once set"
        )
    if before.get("type") == after.get("type") == "LoadBalancer":
        given = after.get("loadBalancerClass"), before.get("loadBalancerClass")
        if given[0] != given[1]:
            errors.invalid("spec.loadBalancerClass", given[0], "may not change once set")


def non_special_ip(text: str, errors: Errors, path: str) -> None:
    """An address that can belong to a host on a network: neither loopback, link-local, multicast nor unspecified."""
    found = names.ip(text)
    errors.each(path, text, found)
    if found:
        return
    address = ipaddress.ip_address(text)
    if address.is_unspecified:
        errors.invalid(path, text, f"may not be unspecified ({text})")
    if address.is_loopback:
        errors.invalid(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if address.is_link_local:
        errors.invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if address.is_multicast:
        errors.invalid(path, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")


def endpoints(obj: Object, errors: Errors) -> None:
    """Endpoints: every subset has addresses, and ports with names where there are several."""
    for index, subset in enumerate(obj.get("subsets") or ()):
        here = f"subsets[{index}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            errors.required(here, "must specify `addresses` or `notReadyAddresses`")
        for field in ("addresses", "notReadyAddresses"):
            for place, address in enumerate(subset.get(field) or ()):
                non_special_ip(str(address.get("ip", "")), errors, f"{here}.{field}[{place}].ip")
        ports = subset.get("ports") or ()
        for place, each in enumerate(ports):
            if len(ports) > 1 and not each.get("name"):
                errors.required(f"{here}.ports[{place}].name")
            elif each.get("name"):
                errors.each(f"{here}.ports[{place}].name", each["name"], names.dns_label(each["name"]))


def endpoint_slice(obj: Object, errors: Errors) -> None:
    """An EndpointSlice: at most 1000 endpoints with addresses of the slice's type."""
    found, kind = obj.get("endpoints") or (), obj.get("addressType")
    if len(found) > 1000:
        errors.too_many("endpoints", len(found), 1000)
    for index, endpoint in enumerate(found):
        here = f"endpoints[{index}].addresses"
        addresses = endpoint.get("addresses") or ()
        if not addresses:
            errors.required(here, "must contain at least 1 address")
        elif len(addresses) > 100:
            errors.too_many(here, len(addresses), 100)
        for place, address in enumerate(addresses):
            _slice_address(address, kind, errors, f"{here}[{place}]")
        if endpoint.get("hostname"):
            errors.each(f"endpoints[{index}].hostname", endpoint["hostname"], names.dns_label(endpoint["hostname"]))
    taken = set()
    for index, each in enumerate(obj.get("ports") or ()):
        name = each.get("name", "")
        if name in taken:
            errors.duplicate("ports", name)
        taken.add(name)
        if name:
            errors.each(f"ports[{index}].name", name, names.dns_label(name))


def _slice_address(address: str, kind: str | None, errors: Errors, path: str) -> None:
    if kind == "FQDN":
        errors.each(path, address, names.dns_subdomain(address))
        return
    before = len(errors)
    non_special_ip(address, errors, path)
    if len(errors) == before and ipaddress.ip_address(address).version != (4 if kind == "IPv4" else 6):
        errors.invalid(path, address, f"must be a valid {kind} address")


def ingress(obj: Object, errors: Errors) -> None:
    """An Ingress: something to route to, and absolute paths."""
    spec = obj.get("spec") or {}
    if not spec.get("rules") and spec.get("defaultBackend") is None:
        errors.invalid("spec", spec, "either `defaultBackend` or `rules` must be specified")
    if spec.get("defaultBackend") is not None:
        _backend(spec["defaultBackend"], errors, "spec.defaultBackend")
    for index, rule in enumerate(spec.get("rules") or ()):
        here = f"spec.rules[{index}]"
        host = rule.get("host")
        if host:
            errors.each(f"{here}.host", host, names.dns_subdomain(host.removeprefix("*.")))
        for place, each in enumerate((rule.get("http") or {}).get("paths") or ()):
            path = f"{here}.http.paths[{place}]"
            if each.get("pathType") in ("Exact", "Prefix") and not str(each.get("path", "")).startswith("/"):
                errors.invalid(f"{path}.path", each.get("path", ""), "must be an absolute path")
            _backend(each.get("backend") or {}, errors, f"{path}.backend")


def _backend(backend: Object, errors: Errors, path: str) -> None:
    found, resource = backend.get("service"), backend.get("resource")
    if found is not None and resource is not None:
        errors.invalid(path, "", "cannot set both resource and service backends")
    elif found is None and resource is None:
        errors.required(path, "port name or number is required")
    elif found is not None:
        given = found.get("port") or {}
        if given.get("name") and given.get("number"):
            errors.invalid(path, "", "cannot set both port name & port number")
        elif not given.get("name") and not given.get("number"):
            errors.required(path, "port name or number is required")


def network_policy(obj: Object, errors: Errors) -> None:
    """A NetworkPolicy: selectors, ports and address ranges."""
    spec = obj.get("spec") or {}
    selectors.label_selector(spec.get("podSelector"), errors, "spec.podSelector")
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or ()):
            here = f"spec.{direction}[{index}]"
            for place, each in enumerate(rule.get("ports") or ()):
                if each.get("port") is not None:
                    port(each["port"], errors, f"{here}.ports[{place}].port")
            for place, peer in enumerate(rule.get(peers) or ()):
                _peer(peer, errors, f"{here}.{peers}[{place}]")


def _peer(peer: Object, errors: Errors, path: str) -> None:
    block = peer.get("ipBlock")
    if not peer:
        errors.required(path, "must specify a peer")
    for field in ("podSelector", "namespaceSelector"):
        selectors.label_selector(peer.get(field), errors, f"{path}.{field}")
    if block is None:
        return
    if len(peer) > 1:
        errors.forbidden(path, "may not specify both ipBlock and another peer")
    if block.get("cidr"):
        errors.each(f"{path}.ipBlock.cidr", block["cidr"], names.cidr(block["cidr"]))
    for index, each in enumerate(block.get("except") or ()):
        errors.each(f"{path}.ipBlock.except[{index}]", each, names.cidr(each))


def service_cidr(obj: Object, errors: Errors) -> None:
    """A ServiceCIDR: one range per family."""
    cidrs = (obj.get("spec") or {}).get("cidrs") or ()
    if not 1 <= len(cidrs) <= 2:
        errors.invalid("spec.cidrs", list(cidrs), "must contain at least one CIDR and no more than two")
    for index, each in enumerate(cidrs):
        errors.each(f"spec.cidrs[{index}]", each, names.cidr(each))
