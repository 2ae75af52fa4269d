"""NamespaceLifecycle: nothing is made in a namespace that is missing or going, and some namespaces never go."""

from api import errors
from api.resources import NAMESPACES
from apiserver.auth.lookup import Freshness, Lookup
from apiserver.plugins import AdmissionRequest

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})
_ACCESS_REVIEWS = frozenset({"localsubjectaccessreviews"})


class NamespaceLifecycle:
    """Promises: CREATE and UPDATE in a missing namespace is NotFound; CREATE in a terminating one is Forbidden with the
    cause NamespaceTerminating; DELETE of an immortal namespace is Forbidden; deletions are never held up otherwise."""

    def __init__(self, lookup: Lookup, freshness: Freshness) -> None:
        self._lookup = lookup
        self._freshness = freshness

    async def __call__(self, request: AdmissionRequest) -> None:
        """Admit or refuse one write."""
        if request.resource.plural == NAMESPACES.plural and not request.resource.group:
            if request.operation == "DELETE" and request.name in IMMORTAL:
                raise errors.forbidden(NAMESPACES, request.name, "this namespace may not be deleted")
            return
        if not request.namespace or request.operation == "DELETE" or request.resource.plural in _ACCESS_REVIEWS:
            return
        namespace = self._lookup.get(NAMESPACES, "", request.namespace)
        if namespace is None:
            await self._freshness.fresh()
            namespace = self._lookup.get(NAMESPACES, "", request.namespace)
        if namespace is None:
            raise errors.not_found(NAMESPACES, request.namespace)
        going = (
            namespace["metadata"].get("deletionTimestamp")
            or (namespace.get("status") or {}).get("phase") == "Terminating"
        )
        if request.operation == "CREATE" and going:
            error = errors.forbidden(
                request.resource,
                request.name,
                f"unable to create new content in namespace {request.namespace} because it is being terminated",
            )
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {request.namespace} is being terminated",
                "field": "metadata.namespace",
            }
            error.details = {**(error.details or {}), "causes": [cause]}
            raise error
