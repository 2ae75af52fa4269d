"""ConfigMaps, Secrets and ServiceAccounts."""

import base64
from typing import Annotated, Self

from pydantic import model_validator

from api.kinds.base import ATOMIC, Base64, MergeKey
from api.kinds.core.references import LocalObjectReference, ObjectReference
from api.kinds.meta import Kind


class ConfigMap(Kind):
    """Configuration as keys and values."""

    binaryData: dict[str, Base64] | None = None
    data: dict[str, str] | None = None
    immutable: bool | None = None


class Secret(Kind):
    """Confidential data as keys and values."""

    data: dict[str, Base64] | None = None
    immutable: bool | None = None
    stringData: dict[str, str] | None = None
    type: str = "Opaque"

    @model_validator(mode="after")
    def _default(self) -> Self:
        # stringData is only ever written: it joins data and is gone
        if self.stringData:
            encoded = {key: base64.b64encode(text.encode()).decode() for key, text in self.stringData.items()}
            self.data = {**(self.data or {}), **encoded}
        self.stringData = None
        return self


class ServiceAccount(Kind):
    """An identity for what runs in pods."""

    automountServiceAccountToken: bool | None = None
    imagePullSecrets: Annotated[list[LocalObjectReference] | None, ATOMIC] = None
    secrets: Annotated[list[ObjectReference] | None, MergeKey("name")] = None
