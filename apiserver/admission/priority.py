"""Priority: priorityClassName becomes the number that scheduler and kubelet go by. Source: "Pod Priority and Preemption"."""

from api import errors
from api.resources import PODS, PRIORITYCLASSES
from api.types import Object
from apiserver.auth.lookup import Freshness, Lookup
from apiserver.plugins import AdmissionRequest

USER_MAX = 1_000_000_000
SYSTEM_CLASSES: dict[str, tuple[int, str]] = {
    "system-cluster-critical": (
        2 * USER_MAX,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
    "system-node-critical": (
        2 * USER_MAX + 1000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
}
"""The classes every cluster has: name -> (value, description)."""


class Priority:
    """Promises: a pod's `priority` and `preemptionPolicy` are those of its class, else of the global default, else 0; a
    missing class or a number that contradicts it is Forbidden; there is one global default at most."""

    def __init__(self, lookup: Lookup, freshness: Freshness) -> None:
        self._lookup = lookup
        self._freshness = freshness

    async def __call__(self, request: AdmissionRequest) -> None:
        """Complete a new pod, or check a priority class."""
        if request.subresource or request.object is None:
            return
        if request.resource is PODS and request.operation == "CREATE":
            await self._complete(request, request.object)
        elif request.resource is PODS and request.operation == "UPDATE" and request.old:
            keep(request.object["spec"], request.old["spec"])
        elif request.resource is PRIORITYCLASSES and request.operation in ("CREATE", "UPDATE"):
            self._check_default(request, request.object)

    async def _complete(self, request: AdmissionRequest, pod: Object) -> None:
        spec = pod["spec"]
        name = spec.get("priorityClassName") or ""
        if name:
            found = self._lookup.get(PRIORITYCLASSES, "", name)
            if found is None:
                await self._freshness.fresh()
                found = self._lookup.get(PRIORITYCLASSES, "", name)
            if found is None:
                raise errors.forbidden(PODS, request.name, f"no PriorityClass with name {name} was found")
        else:
            found = self._default()
            if found:
                spec["priorityClassName"] = found["metadata"]["name"]
        value = int(found["value"]) if found else 0
        policy = (found or {}).get("preemptionPolicy") or "PreemptLowerPriority"
        if spec.get("priority") is not None and spec["priority"] != value:
            why = (
                f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; "
                f"priority admission controller computed {value} from the given PriorityClass name"
            )
            raise errors.forbidden(PODS, request.name, why)
        if spec.get("preemptionPolicy") is not None and spec["preemptionPolicy"] != policy:
            why = (
                f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be provided in pod spec; "
                f"priority admission controller computed {policy} from the given PriorityClass name"
            )
            raise errors.forbidden(PODS, request.name, why)
        spec["priority"], spec["preemptionPolicy"] = value, policy

    def _default(self) -> Object | None:
        """Return the global default; of several (made while two servers raced) the lowest."""
        defaults = [found for found in self._lookup.list(PRIORITYCLASSES) if found.get("globalDefault")]
        return min(defaults, key=lambda found: int(found["value"]), default=None)

    def _check_default(self, request: AdmissionRequest, new: Object) -> None:
        if not new.get("globalDefault"):
            return
        for other in self._lookup.list(PRIORITYCLASSES):
            if other.get("globalDefault") and other["metadata"]["name"] != new["metadata"]["name"]:
                name = other["metadata"]["name"]
                why = f"PriorityClass {name} is already marked as default. Only one default can exist"
                raise errors.forbidden(PRIORITYCLASSES, request.name, why)


def keep(new: Object, old: Object) -> None:
    """Carry over what admission set when an update leaves it out, in place."""
    for field in ("priority", "preemptionPolicy"):
        if new.get(field) is None and old.get(field) is not None:
            new[field] = old[field]
