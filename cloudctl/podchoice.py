"""Which pod and which container a word means: `web-1`, `pod/web-1`, `deploy/web`, with the default container."""

from __future__ import annotations

from api import resources
from api.meta import is_deleting
from api.pods import is_ready
from api.types import Object, Resource
from cloudctl.faults import Fault
from cloudctl.session import Session

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


def selector_text(labels: dict[str, str]) -> str:
    """Labels as a selector."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def object_selector(resource: Resource, obj: Object) -> str:
    """The selector of the pods behind a workload or service. Raises Fault."""
    spec = obj.get("spec", {})
    selector = spec.get("selector") or {}
    if "matchLabels" in selector or "matchExpressions" in selector:
        parts = [selector_text(selector.get("matchLabels") or {})]
        for expression in selector.get("matchExpressions") or ():
            values = f" ({','.join(expression.get('values') or ())})"
            parts.append(
                {
                    "In": f"{expression['key']} in{values}",
                    "NotIn": f"{expression['key']} notin{values}",
                    "Exists": expression["key"],
                    "DoesNotExist": f"!{expression['key']}",
                }[expression["operator"]]
            )
        return ",".join(filter(None, parts))
    if not selector:
        raise Fault(f"{resource.plural}/{obj['metadata']['name']} has no selector, so it has no pods")
    return selector_text(selector)


async def choose(session: Session, word: str) -> Object:
    """The one pod meant; of several behind a workload, a ready one. Raises Fault, NotFound."""
    if "/" not in word:
        return await session.client.get(resources.PODS, word, session.namespace)
    resource, name = await session.resolver.one([word])
    obj = await session.client.get(resource, name, session.namespace)
    if resource == resources.PODS:
        return obj
    pods = await behind(session, resource, obj)
    if not pods:
        raise Fault(f"no pods found for {word}")
    return max(
        pods, key=lambda pod: (is_ready(pod), not is_deleting(pod), pod.get("status", {}).get("phase") == "Running")
    )


async def behind(session: Session, resource: Resource, obj: Object) -> list[Object]:
    """The pods of a workload or service."""
    listed = await session.client.list(
        resources.PODS, obj["metadata"].get("namespace"), label_selector=object_selector(resource, obj)
    )
    return list(listed.get("items") or ())


def containers(pod: Object, *, init: bool = True) -> list[str]:
    """The names of a pod's containers, in the order in which they start."""
    spec = pod["spec"]
    found = (spec.get("initContainers") or []) if init else []
    return [c["name"] for c in (*found, *spec["containers"], *(spec.get("ephemeralContainers") or ()))]


def container(session: Session, pod: Object, wanted: str, *, quiet: bool = False) -> str:
    """The container meant: the one named, the annotated default, or the first. Raises Fault for an unknown name."""
    names = containers(pod)
    name = pod["metadata"]["name"]
    if wanted:
        if wanted not in names:
            raise Fault(f"container {wanted} not found in pod {name}; choose one of {', '.join(names)}")
        return wanted
    default = (pod["metadata"].get("annotations") or {}).get(DEFAULT_CONTAINER)
    if default in names:
        return str(default)
    regular = containers(pod, init=False)
    if len(regular) > 1 and not quiet:
        session.warn(f'Defaulted container "{regular[0]}" out of: {", ".join(regular)}')
    return regular[0]
