"""Approves the kubelets' requests, signs what is approved, deletes what is old."""

from __future__ import annotations

import base64
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
_DECIDED, _PENDING = timedelta(hours=1), timedelta(hours=24)


def states(csr: Object) -> set[str]:
    """The types of its conditions: Approved, Denied, Failed."""
    return {c["type"] for c in (csr.get("status") or {}).get("conditions") or ()}


def _pem(csr: Object) -> bytes:
    return base64.b64decode(csr["spec"]["request"])


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
    """Approves a kubelet's client certificate when the asker may have it by RBAC (`.../nodeclient`, `.../selfnodeclient`)."""

    name = "csr-approver"

    async def reconcile(self, key: str) -> None:
        """Ask for the asker's permission and approve."""
        csr = self.requests.get(key)
        if csr is None or states(csr) or csr["spec"].get("signerName") != policy.KUBELET_CLIENT:
            return
        try:
            request = policy.parse(csr["spec"], _pem(csr))
        except ValueError:
            return  # the signer will say so
        if policy.refusal(policy.KUBELET_CLIENT, request) is not None:
            return
        own = policy.is_own_client(request)
        if not await self._allowed(csr, "selfnodeclient" if own else "nodeclient"):
            return
        kind = "self kubelet client" if own else "kubelet client"
        message = f"Auto approving {kind} certificate after SubjectAccessReview."
        approved = _with_condition(csr, "Approved", "AutoApproved", message)
        await self.client.update(resources.CERTIFICATESIGNINGREQUESTS, approved, subresource="approval")

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

    def __init__(self, ctx: Context, authority: Authority, longest: float) -> None:
        """`longest` is the life of a certificate in seconds when the request does not ask for a shorter one."""
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
            lifetime = max(min(timedelta(seconds=int(asked)), self.longest), _SHORTEST)
        pem = self.authority.sign(request, lifetime, wall())
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
