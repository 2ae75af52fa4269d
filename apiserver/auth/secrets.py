"""Reading fields of Secret objects."""

import base64
import binascii

from api.types import Object


def field(secret: Object, name: str) -> str:
    """Return one data field of a Secret as text; "" when it is missing or not text."""
    try:
        return base64.b64decode((secret.get("data") or {}).get(name, ""), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
