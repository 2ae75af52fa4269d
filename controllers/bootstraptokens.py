"""Deletes bootstrap tokens whose time is over. Source: the Kubernetes documentation, "Authenticating with Bootstrap Tokens"."""

from __future__ import annotations

import base64
from datetime import datetime

from api import meta, resources, timestamp
from api.errors import NotFound
from api.types import Object
from client.controller import Context, Controller
from controllers.podstate import wall

TYPE = "bootstrap.kubernetes.io/token"
NAMESPACE = "kube-system"
NAME_PREFIX = "bootstrap-token-"


def expires_at(secret: Object) -> datetime | None:
    """When the token ends, None if never or if the Secret does not say it legibly."""
    text = (secret.get("data") or {}).get("expiration")
    try:
        return timestamp.parse(base64.b64decode(text).decode()) if text else None
    except ValueError:
        return None


class TokenCleaner(Controller):
    """Keys are Secrets of the type in kube-system."""

    name = "token-cleaner"
    workers = 1

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        secrets = ctx.informers.informer(resources.SECRETS, namespace=NAMESPACE, field_selector=f"type={TYPE}")
        self.secrets = secrets.lister
        secrets.add_handler(self.enqueue, lambda _, new: self.enqueue(new))

    async def reconcile(self, key: str) -> None:
        """Delete the token, or come back when it ends."""
        secret = self.secrets.get(key)
        moment = expires_at(secret) if secret is not None else None
        if secret is None or moment is None:
            return
        left = (moment - wall()).total_seconds()
        if left > 0:
            self.queue.add_after(key, left + 1)
            return
        try:
            await self.client.delete(resources.SECRETS, meta.name(secret), NAMESPACE, uid=meta.uid(secret))
        except NotFound:
            return
