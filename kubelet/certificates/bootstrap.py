"""TLS bootstrap: a node that has nothing but a token gets its client certificate and a kubeconfig that refers to it.

Source: Kubernetes, "TLS bootstrapping". A node whose certificate has ended while it was away begins anew in the same way.
"""

from __future__ import annotations

import asyncio
import base64
import time
from pathlib import Path
from typing import Any

import structlog

from api.errors import ApiError, Forbidden, Unauthorized
from client import kubeconfig
from client.backoff import Backoff
from client.kubeconfig import KubeconfigError
from client.notify import notify
from client.rest import ApiClient
from kubelet.certificates import pair
from kubelet.certificates.signing import NotSigned, client_certificate, signed
from kubelet.settings import Settings

_REMEDY = "make a new token on a control plane (cloudctl token create) and join again"
REVIVE = "`cloudctl certs revive` on a control plane prints the line that brings a node back"


async def ensure(settings: Settings) -> None:
    """Return once there is a kubeconfig with a certificate that has not ended. Raises KubeconfigError.

    The bootstrap kubeconfig is needed, and read, only where there is none; it may be deleted once the node has joined.
    """
    if _is_usable(settings.kubeconfig) or _goes_without(settings):
        return
    current = settings.client_pair
    given = kubeconfig.read(settings.bootstrap_kubeconfig)
    async with ApiClient.from_kubeconfig(settings.bootstrap_kubeconfig, "cloudlet-kubelet/bootstrap") as client:
        pem = await _first_certificate(client, settings)
        if pem is None:
            return
        pair.write(current, pem)
        kubeconfig.save(settings.kubeconfig, with_identity(given, client.config.ca, settings.node, current))
    structlog.get_logger("bootstrap").info("joined", kubeconfig=settings.kubeconfig, certificate=str(current))


def _is_usable(path: str) -> bool:
    """Whether a kubeconfig is there whose certificate, if it has one, has not ended."""
    if not Path(path).exists():
        return False
    try:
        config = kubeconfig.load(path)
        if not config.cert:
            return True
        return pair.parse(config.cert + b"\n" + (config.key or b"")).end > time.time()
    except (KubeconfigError, ValueError):
        return False


def _goes_without(settings: Settings) -> bool:
    """Whether the node begins with a certificate of no use: static pods run all the same, and may be the API server itself."""
    if not Path(settings.kubeconfig).exists() or Path(settings.bootstrap_kubeconfig).exists():
        return False
    why = f"no valid certificate in {settings.kubeconfig} and no {settings.bootstrap_kubeconfig} to get one with: {REVIVE}"
    structlog.get_logger("bootstrap").error("the API server will not know this node", error=why)
    return True


async def _first_certificate(client: ApiClient, settings: Settings) -> bytes | None:
    """Ask until there is one: the API server, the controllers or an operator may come later than the node.

    None when meanwhile somebody else has renewed what the kubeconfig refers to, as a control plane does for its own node.
    """
    retry, log = Backoff(first=0.5, longest=20.0), structlog.get_logger("bootstrap")
    while True:
        try:
            return (await signed(client, client_certificate(settings.node))).pem
        except Unauthorized:
            why = f"{client.server} does not accept the bootstrap token, it is wrong or has expired: {_REMEDY}"
        except Forbidden as error:
            why = f"the bootstrap token may not join nodes ({error.message}): {_REMEDY}"
        except ApiError as error:
            why = error.message
        except NotSigned as error:
            why = str(error)
        log.warning("no client certificate yet", error=why)
        notify(f"STATUS=not joined yet: {why}")
        await asyncio.sleep(retry.next())
        if _is_usable(settings.kubeconfig):
            return None


def with_identity(config: dict[str, Any], ca: bytes | None, node: str, current: Path) -> dict[str, Any]:
    """A kubeconfig for the cluster of another one's current context (whose CA is `ca`), as the node. Pure."""
    context = next(c["context"] for c in config["contexts"] if c["name"] == config["current-context"])
    cluster = next(c["cluster"] for c in config["clusters"] if c["name"] == context["cluster"])
    where = {k: v for k, v in cluster.items() if not k.startswith("certificate-authority")}
    if ca:
        where["certificate-authority-data"] = base64.b64encode(ca).decode()
    file = str(current.absolute())
    user, name = f"system:node:{node}", context["cluster"]
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": where}],
        "users": [{"name": user, "user": {"client-certificate": file, "client-key": file}}],
        "contexts": [{"name": f"{user}@{name}", "context": {"cluster": name, "user": user}}],
        "current-context": f"{user}@{name}",
    }
