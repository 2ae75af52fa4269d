"""Where a certificate and its key stand: in two files, or in a kubeconfig with the CA that its user trusts."""

from __future__ import annotations

import base64
import copy
from pathlib import Path
from typing import Any, Protocol

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from client import kubeconfig
from client.kubeconfig import KubeconfigError
from cloudctl.cluster.pairs import PRIVATE, Pair, read_pair, replace, write_pair


class Place(Protocol):
    """Blocking."""

    def read(self) -> x509.Certificate | None:
        """The certificate; None when there is none, or none of use."""

    def trusts(self, bundle: bytes) -> bool:
        """Whether what stands there trusts this CA bundle and no other. Files of a pair trust nobody, so they do."""

    def write(self, pair: Pair, bundle: bytes) -> None:
        """Replace it; everything else that stands there stays as it is."""


class Files:
    """`NAME.crt` and `NAME.key` in a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._paths = folder / f"{name}.crt", folder / f"{name}.key"

    def read(self) -> x509.Certificate | None:
        return read_pair(*self._paths)

    def trusts(self, bundle: bytes) -> bool:
        return True

    def write(self, pair: Pair, bundle: bytes) -> None:
        write_pair(*self._paths, pair)


class InKubeconfig:
    """The current context of a kubeconfig. One that is gone or damaged is made anew, for one server."""

    def __init__(self, path: Path, user: str, server: str) -> None:
        self._path, self._user, self._server = path, user, server

    def read(self) -> x509.Certificate | None:
        try:
            found = kubeconfig.load(self._path)
            cert = x509.load_pem_x509_certificate(found.cert or b"")
            key = serialization.load_pem_private_key(found.key or b"", None)
        except (KubeconfigError, ValueError):
            return None
        return cert if key.public_key() == cert.public_key() else None

    def trusts(self, bundle: bytes) -> bool:
        try:
            return kubeconfig.load(self._path).ca == bundle
        except KubeconfigError:
            return False

    def write(self, pair: Pair, bundle: bytes) -> None:
        try:
            kubeconfig.load(self._path)
            config = with_identity(kubeconfig.read(self._path), bundle, pair)
        except KubeconfigError:
            kubeconfig.write(
                self._path, "cloudlet", [self._server], bundle, user=self._user, cert=pair.cert, key=pair.key
            )
        else:
            replace({self._path: (yaml.safe_dump(config, sort_keys=False).encode(), PRIVATE)})


def with_identity(config: dict[str, Any], bundle: bytes, pair: Pair) -> dict[str, Any]:
    """A kubeconfig with another identity and CA bundle in its current context. Pure. Raises StopIteration without a user."""
    found = copy.deepcopy(config)
    context = next(c["context"] for c in found["contexts"] if c["name"] == found["current-context"])
    cluster = next(c["cluster"] for c in found["clusters"] if c["name"] == context["cluster"])
    user = next(u["user"] for u in found["users"] if u["name"] == context["user"])
    for entry, values in (
        (cluster, {"certificate-authority": bundle}),
        (user, {"client-certificate": pair.cert, "client-key": pair.key}),
    ):
        for name, value in values.items():
            entry.pop(name, None)
            entry[f"{name}-data"] = base64.b64encode(value).decode()
    return found
