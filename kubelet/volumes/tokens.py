"""ServiceAccount tokens for projected volumes: asked for by TokenRequest, bound to the pod, replaced before they expire.

A token is replaced after 80% of its life, or a day, whichever comes first. Source: KEP-1205.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from api import resources, timestamp
from api.types import Object
from client.rest import ApiClient

_DAY = 86_400.0
_DEFAULT_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class _Held:
    token: str
    replace_at: float


class Tokens:
    """Tokens by pod and source. `wall` gives seconds since 1970."""

    def __init__(self, client: ApiClient, wall: Callable[[], float] = time.time) -> None:
        self._client, self._wall = client, wall
        self._held: dict[tuple[str, str, int], _Held] = {}

    @staticmethod
    def _key(pod: Object, source: Object) -> tuple[str, str, int]:
        seconds = int(source.get("expirationSeconds") or _DEFAULT_SECONDS)
        return pod["metadata"]["uid"], source.get("audience") or "", seconds

    async def refresh(self, pod: Object, source: Object) -> float:
        """Make sure there is a good token; when it is to be replaced (seconds since 1970). Raises ApiError."""
        key = self._key(pod, source)
        held = self._held.get(key)
        if held is None or self._wall() >= held.replace_at:
            held = self._held[key] = await self._request(pod, key)
        return held.replace_at

    def get(self, pod: Object, source: Object) -> str:
        """The token; `refresh` has been called before."""
        return self._held[self._key(pod, source)].token

    async def _request(self, pod: Object, key: tuple[str, str, int]) -> _Held:
        uid, audience, seconds = key
        meta = pod["metadata"]
        body: Object = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [audience] if audience else [],
                "expirationSeconds": seconds,
                "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": uid},
            },
        }
        account = pod["spec"].get("serviceAccountName") or "default"
        answer = await self._client.create(
            resources.SERVICEACCOUNTS, body, meta["namespace"], name=account, subresource="token"
        )
        status = answer["status"]
        now = self._wall()
        life = timestamp.parse(status["expirationTimestamp"]).timestamp() - now
        spread = random.uniform(0, 10)  # noqa: S311 (spreads the requests, no secret)
        return _Held(status["token"], now + max(1.0, min(life * 0.8, _DAY) - spread))

    def forget(self, uid: str) -> None:
        """Drop the tokens of a pod that is gone."""
        for key in [k for k in self._held if k[0] == uid]:
            del self._held[key]
