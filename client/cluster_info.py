"""The ConfigMap kube-public/cluster-info: where the API servers are and by which CA they are known.

For who is to join and for who has. It holds a kubeconfig without credentials, and for each bootstrap token a signature of that
text by the token's secret, so that a token alone is enough to believe it. Source: kubeadm, "Token-based discovery with CA
pinning"; RFC 7515 appendix F for the detached form.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ssl
from dataclasses import dataclass
from typing import Any

import yaml

from api.types import Object
from client.kubeconfig import SERVERS_EXTENSION

NAMESPACE, NAME = "kube-public", "cluster-info"
KUBECONFIG = "kubeconfig"
SIGNATURE_PREFIX = "jws-kubeconfig-"


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """The API servers, the preferred one first, and the CA bundle as PEM."""

    servers: tuple[str, ...]
    ca: bytes


def signature(text: str, token_id: str, secret: str) -> str:
    """The detached JWS of a text by a bootstrap token, byte for byte as kubeadm compares it."""
    header = _base64url(f'{{"alg":"HS256","kid":"{token_id}"}}'.encode())
    signed = f"{header}.{_base64url(text.encode())}".encode()
    return f"{header}..{_base64url(hmac.digest(secret.encode(), signed, hashlib.sha256))}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def is_signed(config_map: Object, token_id: str, secret: str) -> bool:
    """Whether whoever wrote the ConfigMap's kubeconfig knows the token's secret."""
    data = config_map.get("data") or {}
    wanted = signature(data.get(KUBECONFIG, ""), token_id, secret)
    return hmac.compare_digest(wanted, data.get(f"{SIGNATURE_PREFIX}{token_id}", ""))


def parse(config_map: Object) -> ClusterInfo:
    """What the ConfigMap says. Raises ValueError with a reason for people; a bundle that is no CA is refused, too."""
    try:
        config: Any = yaml.safe_load((config_map.get("data") or {})[KUBECONFIG])
        cluster = config["clusters"][0]["cluster"]
        servers = [cluster["server"]]
        for extension in cluster.get("extensions") or ():
            if extension["name"] == SERVERS_EXTENSION:
                servers += [s for s in extension["extension"]["servers"] if s not in servers]
        ca = base64.b64decode(cluster["certificate-authority-data"], validate=True)
        certificates(ca)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{NAMESPACE}/{NAME} has no kubeconfig with a server and a CA: {error!r}") from error
    return ClusterInfo(tuple(str(server).rstrip("/") for server in servers), ca)


def certificates(bundle: bytes) -> frozenset[bytes]:
    """The certificates of a PEM bundle as DER. Raises ValueError if there is none or one cannot be read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=bundle.decode())
    except ssl.SSLError as error:
        raise ValueError(f"no certificates: {error}") from error
    return frozenset(context.get_ca_certs(binary_form=True))
