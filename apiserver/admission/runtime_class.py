"""RuntimeClass: a pod's overhead and placement as its runtime class says. Source: KEP-585, KEP-688."""

from api import errors
from api.resources import PODS, RUNTIMECLASSES
from api.types import Object
from apiserver.auth.lookup import Freshness, Lookup
from apiserver.plugins import AdmissionRequest


class RuntimeClass:
    """Promises: a pod of a missing class is Forbidden; overhead comes from the class alone; the class's nodeSelector and
    tolerations are merged in, and a contradicting nodeSelector is Forbidden."""

    def __init__(self, lookup: Lookup, freshness: Freshness) -> None:
        self._lookup = lookup
        self._freshness = freshness

    async def __call__(self, request: AdmissionRequest) -> None:
        """Complete a pod that is created."""
        pod = request.object
        if request.operation != "CREATE" or request.resource is not PODS or request.subresource or pod is None:
            return
        spec = pod["spec"]
        name = spec.get("runtimeClassName")
        if not name:
            if spec.get("overhead"):
                raise _rejected(request, "Pod Overhead set without corresponding RuntimeClass defined Overhead")
            return
        found = self._lookup.get(RUNTIMECLASSES, "", name)
        if found is None:
            await self._freshness.fresh()
            found = self._lookup.get(RUNTIMECLASSES, "", name)
        if found is None:
            raise _rejected(request, f'RuntimeClass "{name}" not found')
        set_overhead(request, spec, found)
        merge_scheduling(request, spec, found.get("scheduling") or {})


def _rejected(request: AdmissionRequest, why: str) -> errors.Forbidden:
    return errors.forbidden(PODS, request.name, f"pod rejected: {why}")


def set_overhead(request: AdmissionRequest, spec: Object, runtime_class: Object) -> None:
    """Put the class's overhead into the pod; Forbidden when the pod brought another one."""
    fixed = (runtime_class.get("overhead") or {}).get("podFixed")
    given = spec.get("overhead")
    if given and given != (fixed or {}):
        raise _rejected(request, "Pod's Overhead doesn't match RuntimeClass's defined Overhead")
    if fixed:
        spec["overhead"] = dict(fixed)


def merge_scheduling(request: AdmissionRequest, spec: Object, scheduling: Object) -> None:
    """Merge the class's nodeSelector and tolerations into the pod; Forbidden when selectors contradict."""
    selector = dict(spec.get("nodeSelector") or {})
    for key, value in (scheduling.get("nodeSelector") or {}).items():
        if selector.get(key, value) != value:
            raise _rejected(
                request,
                f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                f"pod.spec.nodeSelector[{key}] = {selector[key]}",
            )
        selector[key] = value
    if selector:
        spec["nodeSelector"] = selector
    tolerations = list(spec.get("tolerations") or ())
    tolerations += [toleration for toleration in scheduling.get("tolerations") or () if toleration not in tolerations]
    if tolerations:
        spec["tolerations"] = tolerations
