"""Signs kube-public/cluster-info with every bootstrap token that is for signing, so that whoever has the token can believe it.

Source: Kubernetes' bootstrap signer ("Authenticating with Bootstrap Tokens", ConfigMap signing).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import datetime

from api import meta, resources
from api.types import Object
from client.cluster_info import KUBECONFIG, NAME, NAMESPACE, SIGNATURE_PREFIX, signature
from client.controller import Context, Controller
from controllers import bootstraptokens
from controllers.podstate import wall

_KEY = f"{NAMESPACE}/{NAME}"


def _field(secret: Object, name: str) -> str:
    return base64.b64decode((secret.get("data") or {}).get(name, "")).decode()


def signs(secret: Object, now: datetime) -> bool:
    """Whether a token of this Secret is for signing, whole and not over. Pure."""
    try:
        if meta.is_deleting(secret) or _field(secret, "usage-bootstrap-signing") != "true":
            return False
        token_id = _field(secret, "token-id")
        whole = bool(_field(secret, "token-secret")) and meta.name(secret) == f"{bootstraptokens.NAME_PREFIX}{token_id}"
    except ValueError:
        return False
    moment = bootstraptokens.expires_at(secret)
    return whole and (moment is None or moment > now)


def signed(data: dict[str, str], secrets: Iterable[Object], now: datetime) -> dict[str, str]:
    """The ConfigMap's data with a signature by each of these tokens and by no other. Pure."""
    kept = {key: text for key, text in data.items() if not key.startswith(SIGNATURE_PREFIX)}
    text = kept.get(KUBECONFIG)
    if not text:
        return kept
    for secret in secrets:
        if signs(secret, now):
            token_id = _field(secret, "token-id")
            kept[f"{SIGNATURE_PREFIX}{token_id}"] = signature(text, token_id, _field(secret, "token-secret"))
    return kept


class BootstrapSigner(Controller):
    """The one key is that of cluster-info."""

    name = "bootstrap-signer"
    workers = 1

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        secrets = ctx.informers.informer(
            resources.SECRETS, namespace=bootstraptokens.NAMESPACE, field_selector=f"type={bootstraptokens.TYPE}"
        )
        maps = ctx.informers.informer(
            resources.CONFIGMAPS, namespace=NAMESPACE, field_selector=f"metadata.name={NAME}"
        )  # fmt: skip
        self.secrets, self.maps = secrets.lister, maps.lister
        for informer in (secrets, maps):
            informer.add_handler(self._changed, lambda _, new: self._changed(new), self._changed)

    def _changed(self, _: Object) -> None:
        self.queue.add(_KEY)

    async def reconcile(self, key: str) -> None:
        """Bring the signatures up to date, if there is a cluster-info."""
        present = self.maps.get(key)
        if present is None:
            return
        data = present.get("data") or {}
        wanted = signed(data, self.secrets.list(), wall())
        if wanted != data:
            await self.client.update(resources.CONFIGMAPS, {**present, "data": wanted})
