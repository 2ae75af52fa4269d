"""Reviews: questions about callers and their rights, answered and never stored; and the issuer's discovery documents.

TokenReview, SelfSubjectReview (authentication.k8s.io/v1), the four access reviews (authorization.k8s.io/v1), OIDC discovery.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

from api import errors, timestamp
from api.errors import FieldError
from api.types import Object, Resource
from apiserver import body, params, present
from apiserver.auth.attributes import Attributes, Authorizer, Decision, Verdict
from apiserver.auth.authenticator import Authenticator, InvalidToken
from apiserver.auth.keys import VerifyKey
from apiserver.auth.rbac import RbacIndex
from apiserver.auth.user import User
from apiserver.core import Core
from apiserver.request import Reply, Request

Answer = Callable[[Request, Object], Object]
"""Gets the decoded review and returns its status."""


class Reviews:
    """Answers reviews from memory."""

    def __init__(self, authenticator: Authenticator, authorizer: Authorizer, index: RbacIndex) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._index = index

    def handlers(self) -> dict[tuple[str, str], Callable[[Core, Request, Resource], Awaitable[Reply | None]]]:
        """Return the handlers of create, by (group, plural)."""
        authn, authz = "authentication.k8s.io", "authorization.k8s.io"
        return {
            (authn, "tokenreviews"): _reviewing(self.token),
            (authn, "selfsubjectreviews"): _reviewing(self.self_subject),
            (authz, "subjectaccessreviews"): _reviewing(self.subject_access),
            (authz, "localsubjectaccessreviews"): _reviewing(self.local_subject_access),
            (authz, "selfsubjectaccessreviews"): _reviewing(self.self_access),
            (authz, "selfsubjectrulesreviews"): _reviewing(self.self_rules),
        }

    def token(self, request: Request, review: Object) -> Object:
        """TokenReview: whose token is this, and for which audiences?"""
        spec = review.get("spec") or {}
        if not spec.get("token"):
            raise errors.BadRequest("token is required for TokenReview in authentication")
        audiences = spec.get("audiences") or []
        try:
            verified = self._authenticator.authenticate_token(spec["token"], audiences)
        except InvalidToken as error:
            return {"user": {}, "error": str(error)}
        status: Object = {"authenticated": True, "user": verified.user.as_object()}
        if verified.audiences:
            status["audiences"] = list(verified.audiences)
        return status

    def self_subject(self, request: Request, review: Object) -> Object:
        """SelfSubjectReview: who am I?"""
        return {"userInfo": request.user.as_object()}

    def subject_access(self, request: Request, review: Object) -> Object:
        """SubjectAccessReview: may this user do that?"""
        return self._access(review, _subject(review))

    def local_subject_access(self, request: Request, review: Object) -> Object:
        """LocalSubjectAccessReview: the same within one namespace."""
        asked = ((review.get("spec") or {}).get("resourceAttributes") or {}).get("namespace", "")
        namespace = request.info.namespace
        if asked != namespace:
            path = "spec.resourceAttributes.namespace"
            detail = f"must match metadata.namespace: {namespace}"
            raise _invalid(review, FieldError(path, "Invalid value", asked, detail))
        return self._access(review, _subject(review))

    def self_access(self, request: Request, review: Object) -> Object:
        """SelfSubjectAccessReview: may I do that?"""
        return self._access(review, request.user)

    def _access(self, review: Object, user: User) -> Object:
        decision = self._authorizer.authorize(_question(review, user))
        return _status(decision)

    def self_rules(self, request: Request, review: Object) -> Object:
        """SelfSubjectRulesReview: what may I do in a namespace?"""
        namespace = (review.get("spec") or {}).get("namespace") or ""
        if not namespace:
            raise errors.BadRequest("no namespace on request")
        resources: list[Object] = []
        paths: list[Object] = []
        for rule, _ in self._index.rules_for(request.user, namespace):
            target, fields = (paths, ("nonResourceURLs",)) if rule.get("nonResourceURLs") else (resources, _RULE_FIELDS)
            shown: Object = {"verbs": list(rule.get("verbs") or ())}
            shown |= {field: list(rule[field]) for field in fields if rule.get(field)}
            if shown not in target:
                target.append(shown)
        return {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False}


_RULE_FIELDS = ("apiGroups", "resources", "resourceNames")


def _reviewing(answer: Answer) -> Callable[[Core, Request, Resource], Awaitable[Reply | None]]:
    async def handle(core: Core, request: Request, resource: Resource) -> Reply:
        options = params.write_options(request, "CreateOptions")
        given, twice = await body.read_object(request)
        review = body.normalise(request, resource, given, options.validation, twice)
        review["status"] = answer(request, review)
        meta = review.setdefault("metadata", {})
        if resource.namespaced:
            meta["namespace"] = request.info.namespace
        if resource.plural == "selfsubjectreviews":
            meta["creationTimestamp"] = timestamp.now()
        if present.negotiate(request).form != present.OBJECT:
            raise errors.NotAcceptable(
                "the server was unable to respond with a content type that the client supports: reviews have no table"
            )
        return present.one(request, resource, orjson.dumps(review), 201)

    return handle


def _status(decision: Decision) -> Object:
    status: Object = {"allowed": decision.allowed}
    if decision.verdict is Verdict.DENY:
        status["denied"] = True
    if decision.reason:
        status["reason"] = decision.reason
    return status


def _subject(review: Object) -> User:
    spec = review.get("spec") or {}
    if not spec.get("user") and not spec.get("groups"):
        raise _invalid(
            review, FieldError("spec.user", "Required value", None, "at least one of user or group must be specified")
        )
    extra = {key: tuple(values or ()) for key, values in (spec.get("extra") or {}).items()}
    return User(spec.get("user") or "", spec.get("uid") or "", tuple(spec.get("groups") or ()), extra)


def _question(review: Object, user: User) -> Attributes:
    spec = review.get("spec") or {}
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (resource is None) == (path is None):
        detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        if resource is None:
            raise _invalid(review, FieldError("spec.resourceAttributes", "Required value", None, detail))
        raise _invalid(
            review,
            FieldError(
                "spec.nonResourceAttributes",
                "Invalid value",
                path,
                f"cannot be specified in combination with resourceAttributes: {detail}",
            ),
        )
    if path is not None:
        return Attributes(user, path.get("verb") or "", path=path.get("path") or "")
    asked: Mapping[str, Any] = resource or {}
    return Attributes(
        user,
        verb=asked.get("verb") or "",
        group=asked.get("group") or "",
        version=asked.get("version") or "",
        resource=asked.get("resource") or "*",
        subresource=asked.get("subresource") or "",
        namespace=asked.get("namespace") or "",
        name=asked.get("name") or "",
        field_selector=_field_selector(asked),
    )


def _field_selector(attributes: Mapping[str, Any]) -> str:
    selector = attributes.get("fieldSelector") or {}
    if selector.get("rawSelector"):
        return str(selector["rawSelector"])
    terms = [
        f"{term['key']}={term['values'][0]}"
        for term in selector.get("requirements") or ()
        if term.get("operator") == "In" and len(term.get("values") or ()) == 1
    ]
    return ",".join(terms)


def _invalid(review: Object, *found: FieldError) -> errors.Invalid:
    from_kind = str(review.get("kind", ""))
    said = ", ".join(str(error) for error in found)
    causes = [{"reason": "FieldValueInvalid", "message": e.message(), "field": e.path} for e in found]
    group = str(review.get("apiVersion", "")).partition("/")[0]
    details = {"group": group, "kind": from_kind, "causes": causes}
    return errors.Invalid(f'{from_kind}.{group} "" is invalid: {said}', details)


def discovery(issuer: str, keys: list[VerifyKey], base: str = "") -> dict[str, bytes]:
    """Return the issuer's discovery documents by path (OpenID Connect Discovery 1.0; RFC 7517)."""
    configuration = {
        "issuer": issuer,
        "jwks_uri": f"{base or issuer}/openid/v1/jwks",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": sorted({key.algorithm for key in keys}),
    }
    return {
        "/.well-known/openid-configuration": orjson.dumps(configuration),
        "/openid/v1/jwks": orjson.dumps({"keys": [key.jwk() for key in keys]}),
    }
