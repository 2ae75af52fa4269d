"""Reading pod specs: the containers of all three lists, with the paths that messages name them by."""

from collections.abc import Iterator

from api.types import Object, Resource

CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")


def containers(spec: Object, lists: tuple[str, ...] = CONTAINER_LISTS) -> Iterator[Object]:
    """Yield the containers of a pod spec: init, ordinary, ephemeral."""
    for field in lists:
        yield from spec.get(field) or ()


def template_of(resource: Resource, obj: Object) -> tuple[Object, Object] | None:
    """Return (metadata, spec) of the pod an object is or would make; None for kinds that make no pods."""
    spec = obj.get("spec") or {}
    if (resource.group, resource.plural) == ("", "pods"):
        return obj["metadata"], spec
    if resource.plural == "podtemplates":
        template = obj.get("template") or {}
    elif resource.plural == "cronjobs":
        template = ((spec.get("jobTemplate") or {}).get("spec") or {}).get("template") or {}
    elif resource.plural in (
        "deployments",
        "replicasets",
        "daemonsets",
        "statefulsets",
        "replicationcontrollers",
        "jobs",
    ):
        template = spec.get("template") or {}
    else:
        return None
    return template.get("metadata") or {}, template.get("spec") or {}
