"""Fills Secrets of type `kubernetes.io/service-account-token`, and deletes them with their ServiceAccount.

Source: the Kubernetes documentation, "Manage ServiceAccounts: Manually create a long-lived API token".
"""

from __future__ import annotations

import base64
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from api import meta, resources
from api.errors import NotFound
from api.types import Object
from client.controller import Context
from controllers.bundle import BundleController

TYPE = "kubernetes.io/service-account-token"
_NAME = "kubernetes.io/service-account.name"
_UID = "kubernetes.io/service-account.uid"
_ISSUER = "kubernetes/serviceaccount"


class Signer:
    """Signs the long-lived tokens with the cluster's ServiceAccount key (PEM, RSA or EC on P-256)."""

    def __init__(self, pem: bytes) -> None:
        key = serialization.load_pem_private_key(pem, None)
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise ValueError("the ServiceAccount key must be an RSA or EC key")
        self.key = key
        self.algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"

    def token(self, account: Object, secret: Object) -> str:
        """A JWT without expiry that is good for as long as the Secret exists."""
        space, name = meta.namespace(account), meta.name(account)
        prefix = "kubernetes.io/serviceaccount/"
        claims = {
            "iss": _ISSUER,
            "sub": f"system:serviceaccount:{space}:{name}",
            f"{prefix}namespace": space,
            f"{prefix}secret.name": meta.name(secret),
            f"{prefix}service-account.name": name,
            f"{prefix}service-account.uid": meta.uid(account),
        }
        return jwt.encode(claims, self.key, algorithm=self.algorithm)


def _text(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


class TokenController(BundleController):
    """Keys are Secrets of the type."""

    name = "token"

    def __init__(self, ctx: Context, signer: Signer, path: Path) -> None:
        super().__init__(ctx, path)
        self.signer = signer
        secrets = ctx.informers.informer(resources.SECRETS, field_selector=f"type={TYPE}")
        accounts = ctx.informers.informer(resources.SERVICEACCOUNTS)
        self.secrets, self.accounts = secrets.lister, accounts.lister
        secrets.add_handler(self.enqueue, lambda _, new: self.enqueue(new))
        accounts.add_handler(self._account_seen, None, self._account_seen)

    def bundle_changed(self) -> None:
        for secret in self.secrets.list():
            self.enqueue(secret)

    def _account_seen(self, account: Object) -> None:
        for secret in self.secrets.list(meta.namespace(account)):
            if meta.annotations(secret).get(_NAME) == meta.name(account):
                self.enqueue(secret)

    async def reconcile(self, key: str) -> None:
        """Fill in what is missing; delete the Secret when its account is not there."""
        secret = self.secrets.get(key)
        name = meta.annotations(secret).get(_NAME) if secret is not None else None
        if secret is None or not name or meta.is_deleting(secret):
            return
        account = await self._account(secret, name)
        if account is None:
            await self._delete(secret)
            return
        data = {**(secret.get("data") or {})}
        data |= {"ca.crt": _text(self.bundle), "namespace": _text(meta.namespace(secret))}
        if not data.get("token") or meta.annotations(secret).get(_UID) != meta.uid(account):
            data["token"] = _text(self.signer.token(account, secret))
        annotations = {**meta.annotations(secret), _UID: meta.uid(account)}
        if data != secret.get("data") or annotations != meta.annotations(secret):
            metadata = {**secret["metadata"], "annotations": annotations}
            await self.client.update(resources.SECRETS, {**secret, "metadata": metadata, "data": data})

    async def _account(self, secret: Object, name: str) -> Object | None:
        """The account that the Secret names, read live before it counts as missing."""
        account = self.accounts.get(f"{meta.namespace(secret)}/{name}")
        if account is None:
            try:
                account = await self.client.get(resources.SERVICEACCOUNTS, name, meta.namespace(secret))
            except NotFound:
                return None
        wanted = meta.annotations(secret).get(_UID)
        return account if not wanted or wanted == meta.uid(account) else None

    async def _delete(self, secret: Object) -> None:
        try:
            await self.client.delete(resources.SECRETS, meta.name(secret), meta.namespace(secret), uid=meta.uid(secret))
        except NotFound:
            return
