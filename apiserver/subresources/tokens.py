"""serviceaccounts/token: issue a token for a ServiceAccount, bound to a pod, secret or node if asked (TokenRequest)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import orjson

from api import errors, timestamp
from api.decode import decode_as
from api.errors import FieldError
from api.kinds.authentication import TokenRequest
from api.resources import NODES, PODS, SECRETS, SERVICEACCOUNTS
from api.types import Object, Resource
from apiserver import body, params, present
from apiserver.auth.jwt_tokens import Bound, Subject, TokenIssuer
from apiserver.core import Core
from apiserver.handlers import write
from apiserver.request import Reply, Request

LEAST, MOST = 600, 1 << 32
_BINDABLE = {("v1", "Pod"): PODS, ("v1", "Secret"): SECRETS, ("v1", "Node"): NODES}
GROUP_VERSION = "authentication.k8s.io/v1"


class TokenRequests:
    """Answers POST .../serviceaccounts/NAME/token."""

    def __init__(self, issuer: TokenIssuer | None, audiences: Sequence[str]) -> None:
        self._issuer = issuer
        self._audiences = tuple(audiences)

    async def __call__(self, core: Core, request: Request, resource: Resource) -> Reply:
        """Issue a token. Raises NotFound, Conflict, BadRequest, Invalid."""
        if request.info.verb != "create":
            raise errors.MethodNotAllowed("tokens are only created")
        if self._issuer is None:
            raise errors.NotFound("the server could not find the requested resource")
        given, twice = await body.read_object(request)
        options = params.write_options(request, "CreateOptions")
        wanted, warnings = decode_as(TokenRequest, given, options.validation, "TokenRequest", GROUP_VERSION, twice)
        request.warnings += warnings
        return await self._issue(self._issuer, core, request, resource, wanted)

    async def _issue(
        self, issuer: TokenIssuer, core: Core, request: Request, resource: Resource, wanted: Object
    ) -> Reply:
        namespace, name = request.info.namespace, request.info.name
        account = await _read(core, SERVICEACCOUNTS, namespace, name)
        check_names(name, namespace, wanted)
        spec = wanted.setdefault("spec", {})
        spec["audiences"] = spec.get("audiences") or list(self._audiences)
        seconds = spec["expirationSeconds"] = int(spec.get("expirationSeconds") or 3600)
        if found := seconds_errors(seconds):
            raise _invalid(name, found)
        asked = write.admission(core, request, resource, "CREATE", wanted, None)
        await core.admit(asked)
        bound, node = await self._bound(core, namespace, name, spec.get("boundObjectRef"))
        subject = Subject(namespace, name, account["metadata"]["uid"], bound, node)
        for_server = tuple(spec["audiences"]) == self._audiences
        extend = for_server and bound is not None and bound.kind == "Pod"
        token, expires = issuer.issue(subject, spec["audiences"], seconds, extend=extend)
        meta = {"name": name, "namespace": namespace, "creationTimestamp": timestamp.now()}
        reply = {
            "kind": "TokenRequest",
            "apiVersion": GROUP_VERSION,
            "metadata": meta,
            "spec": spec,
            "status": {"token": token, "expirationTimestamp": timestamp.format(datetime.fromtimestamp(expires, UTC))},
        }
        return present.one(request, resource, orjson.dumps(reply), 201)

    async def _bound(
        self, core: Core, namespace: str, account: str, reference: Object | None
    ) -> tuple[Bound | None, Bound | None]:
        """Return (what the token is bound to, the pod's node)."""
        if not reference:
            return None, None
        kind, name = reference.get("kind", ""), reference.get("name", "")
        resource = _BINDABLE.get((reference.get("apiVersion") or "v1", kind))
        if resource is None:
            raise errors.BadRequest(f"cannot bind token to object of type {reference.get('apiVersion')}, Kind={kind}")
        found = await _read(core, resource, namespace if resource.namespaced else "", name)
        uid = found["metadata"]["uid"]
        if reference.get("uid") and reference["uid"] != uid:
            raise errors.conflict(
                resource,
                name,
                f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. "
                "The object might have been deleted and then recreated",
            )
        bound = Bound(kind, name, uid)
        if kind != "Pod":
            return bound, None
        if found["spec"].get("serviceAccountName") != account:
            raise errors.BadRequest(
                f'cannot bind token for serviceaccount "{account}" to pod running with different serviceaccount name.'
            )
        node = core.lookup.get(NODES, "", found["spec"].get("nodeName") or "")
        return bound, Bound("Node", node["metadata"]["name"], node["metadata"]["uid"]) if node else None


async def _read(core: Core, resource: Resource, namespace: str, name: str) -> Object:
    found = core.lookup.get(resource, namespace, name)
    return found if found is not None else await core.get(resource, namespace, name)


def check_names(name: str, namespace: str, wanted: Object) -> None:
    """Raise BadRequest when the body names another account than the path."""
    meta = wanted.get("metadata") or {}
    if meta.get("name") and meta["name"] != name:
        raise errors.BadRequest(f"the name of the object ({meta['name']}) does not match the name on the URL ({name})")
    if meta.get("namespace") and meta["namespace"] != namespace:
        raise errors.BadRequest("the namespace of the provided object does not match the namespace sent on the request")


def seconds_errors(seconds: int) -> list[FieldError]:
    """Return what is wrong with a wished lifetime."""
    if seconds < LEAST:
        why = "may not specify a duration less than 10 minutes"
    elif seconds > MOST:
        why = "may not specify a duration larger than 2^32 seconds"
    else:
        return []
    return [FieldError("spec.expirationSeconds", "Invalid value", seconds, why)]


def _invalid(name: str, found: list[FieldError]) -> errors.Invalid:
    said = ", ".join(str(error) for error in found)
    causes = [{"reason": "FieldValueInvalid", "message": e.message(), "field": e.path} for e in found]
    details = {"name": name, "group": "authentication.k8s.io", "kind": "TokenRequest", "causes": causes}
    return errors.Invalid(f'TokenRequest.authentication.k8s.io "{name}" is invalid: {said}', details)
