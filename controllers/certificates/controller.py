"""Approves the kubelets' requests, signs what is approved, deletes what is old."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime, timedelta

from cryptography import x509

from api import meta, resources, timestamp
from api.errors import NotFound
from api.types import Object
from client.controller import Context, Controller
from controllers.certificates import policy
from controllers.certificates.authority import Authority
from controllers.podstate import created_at, wall

_SHORTEST = timedelta(minutes=10)
"""What a request may ask for at least, unless the administrator has set the longest life below that."""
_DECIDED, _PENDING = timedelta(hours=1), timedelta(hours=24)


def states(csr: Object) -> set[str]:
    """The types of its conditions: Approved, Denied, Failed."""
    return {c["type"] for c in (csr.get("status") or {}).get("conditions") or ()}


def _pem(csr: Object) -> bytes:
    return base64.b64decode(csr["spec"]["request"])


def _stated(node: Object) -> object:
    return (node.get("status") or {}).get("addresses")


def _with_condition(csr: Object, kind: str, reason: str, message: str) -> Object:
    now = timestamp.now()
    condition = {
        "type": kind, "status": "True", "reason": reason, "message": message,
        "lastUpdateTime": now, "lastTransitionTime": now,
    }  # fmt: skip
    status = csr.get("status") or {}
    return {**csr, "status": {**status, "conditions": [*(status.get("conditions") or ()), condition]}}


class _RequestController(Controller):
    """Keys are CertificateSigningRequests."""

    workers = 1

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        requests = ctx.informers.informer(resources.CERTIFICATESIGNINGREQUESTS)
        self.requests = requests.lister
        requests.add_handler(self.enqueue, lambda _, new: self.enqueue(new))


class Approver(_RequestController):
    """Approves what kubelets ask for themselves.

    A client certificate when the asker may have it by RBAC (`.../nodeclient`, `.../selfnodeclient`); a serving certificate when
    a node asks for names that are its own by its Node object. The latter is ours: Kubernetes leaves it to operators.
    """

    name = "csr-approver"

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        nodes = ctx.informers.informer(resources.NODES)
        self.nodes = nodes.lister
        nodes.add_handler(self._node_changed, self._node_updated, self._node_changed)

    def _node_updated(self, old: Object, new: Object) -> None:
        if _stated(old) != _stated(new):
            self._node_changed(new)

    def _node_changed(self, _: Object) -> None:
        """What was refused for want of an address may be right now."""
        for csr in self.requests.list():
            if csr["spec"].get("signerName") == policy.KUBELET_SERVING and not states(csr):
                self.enqueue(csr)

    async def reconcile(self, key: str) -> None:
        """Approve, or leave it to somebody else."""
        csr = self.requests.get(key)
        if csr is None or states(csr):
            return
        signer = csr["spec"].get("signerName")
        if signer not in (policy.KUBELET_CLIENT, policy.KUBELET_SERVING):
            return
        try:
            request = policy.parse(csr["spec"], _pem(csr))
        except ValueError:
            return  # the signer will say so
        if policy.refusal(signer, request) is not None:
            return
        message = (
            await self._client_reason(csr, request) if signer == policy.KUBELET_CLIENT else self._own(csr, request)
        )
        if message:
            approved = _with_condition(csr, "Approved", "AutoApproved", message)
            await self.client.update(resources.CERTIFICATESIGNINGREQUESTS, approved, subresource="approval")

    async def _client_reason(self, csr: Object, request: policy.Request) -> str:
        """Why a client certificate is approved, empty if it is not."""
        own = policy.is_own_client(request)
        if not await self._allowed(csr, "selfnodeclient" if own else "nodeclient"):
            return ""
        kind = "self kubelet client" if own else "kubelet client"
        return f"Auto approving {kind} certificate after SubjectAccessReview."

    def _own(self, csr: Object, request: policy.Request) -> str:
        """Why a serving certificate is approved, empty if it is not."""
        if policy.NODES not in (csr["spec"].get("groups") or ()):
            return ""
        if mismatch := policy.serving_mismatch(request, self.nodes.list()):
            self.log.warning("serving certificate not approved", request=meta.name(csr), reason=mismatch)
            return ""
        return "Auto approving kubelet serving certificate for the node's own name and addresses."

    async def _allowed(self, csr: Object, subresource: str) -> bool:
        spec = csr["spec"]
        review: Object = {
            "spec": {
                "user": spec.get("username"),
                "uid": spec.get("uid"),
                "groups": spec.get("groups"),
                "extra": spec.get("extra"),
                "resourceAttributes": {
                    "group": resources.CERTIFICATESIGNINGREQUESTS.group,
                    "resource": resources.CERTIFICATESIGNINGREQUESTS.plural,
                    "verb": "create",
                    "subresource": subresource,
                    "version": "*",
                },
            }
        }
        review["spec"] = {k: v for k, v in review["spec"].items() if v}
        answer = await self.client.create(resources.SUBJECTACCESSREVIEWS, review)
        return bool(answer["status"].get("allowed"))


class Signer(_RequestController):
    """Signs approved requests of the built-in signers with the cluster's CA."""

    name = "csr-signer"

    def __init__(self, ctx: Context, authority: Callable[[], Authority], longest: float) -> None:
        """`longest` is the life of a certificate in seconds when the request does not ask for a shorter one.

        `authority` is asked for each certificate: the CA's files may have been replaced meanwhile.
        """
        super().__init__(ctx)
        self.authority = authority
        self.longest = timedelta(seconds=longest)

    async def reconcile(self, key: str) -> None:
        """Write the certificate, or why there will be none."""
        csr = self.requests.get(key)
        if csr is None or csr["spec"].get("signerName") not in policy.SIGNERS or states(csr) != {"Approved"}:
            return
        if (csr.get("status") or {}).get("certificate"):
            return
        signed = self._signed(csr)
        await self.client.update(resources.CERTIFICATESIGNINGREQUESTS, signed, subresource="status")

    def _signed(self, csr: Object) -> Object:
        try:
            request = policy.parse(csr["spec"], _pem(csr))
            refusal = policy.refusal(csr["spec"]["signerName"], request)
        except ValueError as error:
            refusal = str(error)
        if refusal is not None:
            return _with_condition(csr, "Failed", "SignerValidationFailure", refusal)
        asked = csr["spec"].get("expirationSeconds")
        lifetime = self.longest
        if asked is not None:
            lifetime = max(min(timedelta(seconds=int(asked)), self.longest), min(_SHORTEST, self.longest))
        pem = self.authority().sign(request, lifetime, wall())
        return {**csr, "status": {**(csr.get("status") or {}), "certificate": base64.b64encode(pem).decode()}}


def expires_at(csr: Object) -> datetime:
    """When the object may be deleted: a day after its making, an hour after a decision, or with its certificate."""
    decided = [
        timestamp.parse(c["lastUpdateTime"])
        for c in (csr.get("status") or {}).get("conditions") or ()
        if c.get("lastUpdateTime")
    ]
    moment = max(decided) + _DECIDED if decided else created_at(csr) + _PENDING
    certificate = (csr.get("status") or {}).get("certificate")
    if certificate:
        try:
            end = x509.load_pem_x509_certificate(base64.b64decode(certificate)).not_valid_after_utc
        except ValueError:
            return moment
        return min(moment, end)
    return moment


class Cleaner(_RequestController):
    """Deletes requests whose time is over."""

    name = "csr-cleaner"

    async def reconcile(self, key: str) -> None:
        """Delete, or come back when it is time."""
        csr = self.requests.get(key)
        if csr is None:
            return
        left = (expires_at(csr) - wall()).total_seconds()
        if left > 0:
            self.queue.add_after(key, left + 1)
            return
        try:
            await self.client.delete(resources.CERTIFICATESIGNINGREQUESTS, key, uid=meta.uid(csr))
        except NotFound:
            return
