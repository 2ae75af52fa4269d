"""Where a certificate and its key stand: in two files, in one, or in a kubeconfig with the CA that its user trusts."""

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

    def trusts(self, authority: x509.Certificate) -> bool:
        """Whether what stands there trusts this authority. A pair alone trusts nobody and needs nothing, so it does."""

    def write(self, pair: Pair, bundle: bytes) -> None:
        """Replace it; everything else that stands there stays as it is."""


class Files:
    """`NAME.crt` and `NAME.key` in a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._paths = folder / f"{name}.crt", folder / f"{name}.key"

    def read(self) -> x509.Certificate | None:
        return read_pair(*self._paths)

    def trusts(self, authority: x509.Certificate) -> bool:
        return True

    def write(self, pair: Pair, bundle: bytes) -> None:
        write_pair(*self._paths, pair)


class InOneFile:
    """Both in one file, as kubelets have theirs."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> x509.Certificate | None:
        return read_pair(self._path, self._path)

    def trusts(self, authority: x509.Certificate) -> bool:
        return True

    def write(self, pair: Pair, bundle: bytes) -> None:
        replace({self._path: (pair.cert + pair.key, PRIVATE)})


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

    def trusts(self, authority: x509.Certificate) -> bool:
        try:
            return authority in x509.load_pem_x509_certificates(kubeconfig.load(self._path).ca or b"")
        except (KubeconfigError, ValueError):
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
            save(self._path, config)


def save(path: Path, config: dict[str, Any]) -> None:
    """Replace a kubeconfig in one step; who owns it stays."""
    replace({path: (yaml.safe_dump(config, sort_keys=False).encode(), PRIVATE)})


def with_identity(config: dict[str, Any], bundle: bytes, pair: Pair) -> dict[str, Any]:
    """A kubeconfig with another identity and CA bundle in its current context. Pure. Raises StopIteration without a user."""
    found = with_authority(config, bundle)
    context = next(c["context"] for c in found["contexts"] if c["name"] == found["current-context"])
    user = next(u["user"] for u in found["users"] if u["name"] == context["user"])
    _set(user, "client-certificate", pair.cert)
    _set(user, "client-key", pair.key)
    return found


def with_authority(config: dict[str, Any], bundle: bytes) -> dict[str, Any]:
    """A kubeconfig with another CA bundle in its current context. Pure."""
    found = copy.deepcopy(config)
    context = next(c["context"] for c in found["contexts"] if c["name"] == found["current-context"])
    cluster = next(c["cluster"] for c in found["clusters"] if c["name"] == context["cluster"])
    _set(cluster, "certificate-authority", bundle)
    return found


def _set(entry: dict[str, Any], name: str, data: bytes) -> None:
    entry.pop(name, None)
    entry[f"{name}-data"] = base64.b64encode(data).decode()
