"""Services and slices as the API gives them."""

from __future__ import annotations

from typing import Any

from api.types import Object


def service(name: str = "web", *, ip: str = "10.96.0.20", ports: list[Object] | None = None, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": ip,
            "clusterIPs": [ip],
            "ports": ports or [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}],
            **spec,
        },
    }


def endpoint(ip: str, node: str = "n1", *, hostname: str = "", **conditions: bool) -> Object:
    found: Object = {"addresses": [ip], "nodeName": node, "conditions": conditions or {"ready": True}}
    return found | ({"hostname": hostname} if hostname else {})


def slice_of(
    *endpoints: Object, name: str = "web", port: int = 8080, port_name: str = "http", **port_more: Any
) -> Object:
    return {
        "metadata": {"name": f"{name}-x", "namespace": "default", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": list(endpoints),
        "ports": [{"name": port_name, "port": port, "protocol": "TCP", **port_more}],
    }
