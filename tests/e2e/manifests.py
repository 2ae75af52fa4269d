"""What the tests run."""

from __future__ import annotations

import json
from typing import Any


def deployment(name: str, image: str, replicas: int, command: list[str], **pod: Any) -> str:
    """A Deployment of one container, as JSON."""
    container = {"name": "main", "image": image, "command": command, **pod.pop("container", {})}
    labels = {"app": name}
    spec = {"terminationGracePeriodSeconds": 1, "containers": [container], **pod}
    template = {"metadata": {"labels": labels}, "spec": spec}
    return json.dumps(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
        }
    )


def web(name: str, image: str, replicas: int, **pod: Any) -> str:
    """A Deployment whose pods answer HTTP with their own name, ready once they do."""
    script = (
        "mkdir -p /tmp/www && hostname >/tmp/www/index.html && "
        "trap 'exit 0' TERM && httpd -f -p 8080 -h /tmp/www & wait"
    )
    container = {
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
    }
    return deployment(name, image, replicas, ["sh", "-c", script], container=container, **pod)


IDLE = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait; done"]


def evicted_after(seconds: int) -> list[dict[str, Any]]:
    """Tolerations of a pod that stays this long on a node that is not there."""
    return [
        {"key": f"node.kubernetes.io/{why}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
        for why in ("unreachable", "not-ready")
    ]
