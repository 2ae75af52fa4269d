"""OwnerReferencesPermissionEnforcement: who blocks an owner's deletion may change the owner. Off by default, as in Kubernetes."""

from api import errors, resources
from api.types import Object
from apiserver.auth.attributes import Attributes, Authorizer
from apiserver.plugins import AdmissionRequest


class OwnerReferencesPermissionEnforcement:
    """Promises: changing ownerReferences needs `delete` on the object; setting blockOwnerDeletion needs `update` on the
    owner's finalizers."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def __call__(self, request: AdmissionRequest) -> None:
        """Check one write."""
        new = request.object
        if new is None or request.operation not in ("CREATE", "UPDATE") or request.subresource == "status":
            return
        before = _references(request.old)
        after = _references(new)
        if request.operation == "UPDATE" and before != after:
            resource = request.resource
            asked = Attributes(
                request.user, "delete", resource.group, resource.version, resource.plural, namespace=request.namespace,
                name=request.name,
            )  # fmt: skip
            if not self._authorizer.authorize(asked).allowed:
                why = "cannot set an ownerRef on a resource you can't delete: "
                raise errors.forbidden(resource, request.name, why.rstrip(": "))
        blocking_before = {ref.get("uid") for ref in before if ref.get("blockOwnerDeletion")}
        for reference in after:
            if reference.get("blockOwnerDeletion") and reference.get("uid") not in blocking_before:
                self._check_owner(request, reference)

    def _check_owner(self, request: AdmissionRequest, reference: Object) -> None:
        group, _, version = str(reference.get("apiVersion", "")).rpartition("/")
        owner = resources.by_kind(group, version, str(reference.get("kind", "")))
        if owner is None:
            why = "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion "
            raise errors.forbidden(
                request.resource, request.name, f"{why}{reference.get('apiVersion')} Kind {reference.get('kind')}"
            )
        namespace = request.namespace if owner.namespaced else ""
        name = str(reference.get("name", ""))
        asked = Attributes(request.user, "update", group, version, owner.plural, "finalizers", namespace, name)
        if not self._authorizer.authorize(asked).allowed:
            why = "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on"
            raise errors.forbidden(request.resource, request.name, why)


def _references(obj: Object | None) -> list[Object]:
    return ((obj or {}).get("metadata") or {}).get("ownerReferences") or []
