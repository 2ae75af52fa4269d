"""Kubeconfig files: where the API servers are and who we are. Source: the Kubernetes `Config` v1 format.

Several servers of one cluster stand in our extension `cloudlet.dev/servers`, which other clients ignore; a `server` that is not
among them is for those others alone: a virtual IP. A certificate and its key may be one PEM file that both entries name, as a
kubelet's are.
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

SERVERS_EXTENSION = "cloudlet.dev/servers"


Stamp = tuple[int, int, int] | None
"""Tells one state of a file from another: when it was written, its inode, its size; None when it is not there."""


class KubeconfigError(Exception):
    """The file is missing, is no kubeconfig, or names what is not there or of no use. The text is for people."""


@dataclass(slots=True)
class Kubeconfig:
    """One context, resolved: everything needed to open a connection."""

    servers: list[str]
    ca: bytes | None = None
    cert: bytes | None = None
    key: bytes | None = field(default=None, repr=False)
    token: str = field(default="", repr=False)
    username: str = ""
    password: str = field(default="", repr=False)
    insecure: bool = False
    namespace: str = "default"
    server_name: str = ""
    context: str = ""
    files: dict[Path, Stamp] = field(default_factory=dict, compare=False, repr=False)
    """What this was read from: the kubeconfig and the files it refers to, each as it was before it was read."""

    def ssl_context(self) -> ssl.SSLContext:
        """A client context that trusts the cluster's CA alone and presents our certificate, if we have one.

        Raises KubeconfigError for a CA or a certificate that is none, and for a key that is not the certificate's.
        """
        try:
            context = ssl.create_default_context(cadata=self.ca.decode() if self.ca else None)
        except (ssl.SSLError, ValueError) as error:
            raise KubeconfigError(f"kubeconfig: certificate-authority: {error}") from error
        # CAs made before RFC 5280's key identifiers were usual are still cluster CAs.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert and self.key:
            # OpenSSL loads a chain from files only; the pair is gone from disk before this returns.
            with tempfile.NamedTemporaryFile() as pair:
                pair.write(self.cert if self.cert == self.key else self.cert + b"\n" + self.key)
                pair.flush()
                try:
                    context.load_cert_chain(pair.name)
                except ssl.SSLError as error:
                    raise KubeconfigError(f"kubeconfig: client-certificate and client-key: {error}") from error
        return context

    def changed(self) -> bool:
        """Whether a file that this was read from is another now."""
        return any(_stamp(path) != stamp for path, stamp in self.files.items())


def default_path() -> Path:
    """`$KUBECONFIG` (its first entry), else `~/.kube/config`."""
    named = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    return Path(named) if named else Path.home() / ".kube" / "config"


def read(path: str | Path) -> dict[str, Any]:
    """The file as it stands. Raises KubeconfigError."""
    try:
        data = yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise KubeconfigError(f"kubeconfig {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise KubeconfigError(f"kubeconfig {path} is not YAML: {error}") from error
    if not isinstance(data, dict):
        raise KubeconfigError(f"kubeconfig {path} is empty or no mapping")
    return data


def _named(config: dict[str, Any], kind: str, name: str, path: str | Path) -> dict[str, Any]:
    for entry in config.get(f"{kind}s") or ():
        if entry.get("name") == name:
            return dict(entry.get(kind) or {})
    raise KubeconfigError(f"kubeconfig {path}: there is no {kind} {name!r}")


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


class _Entry:
    """A cluster's or a user's settings, whose values may be the contents of files relative to the kubeconfig."""

    def __init__(self, values: dict[str, Any], base: Path, files: dict[Path, Stamp]) -> None:
        self.values, self._base, self._files = values, base, files

    def value(self, name: str) -> bytes | None:
        """`<name>-data` decoded, else what is in the file that `<name>` names."""
        try:
            if self.values.get(f"{name}-data"):
                return base64.b64decode(self.values[f"{name}-data"], validate=True)
        except binascii.Error as error:
            raise KubeconfigError(f"kubeconfig: {name}-data: {error}") from error
        return self.file(name)

    def file(self, name: str) -> bytes | None:
        """What is in the file that `<name>` names."""
        if not self.values.get(name):
            return None
        path = self._base / str(self.values[name])
        self._files[path] = _stamp(path)
        try:
            return path.read_bytes()
        except OSError as error:
            raise KubeconfigError(f"kubeconfig: {name}: {error}") from error


def load(path: str | Path, context: str = "") -> Kubeconfig:
    """One context of the file (the current one by default). Raises KubeconfigError."""
    files = {Path(path): _stamp(Path(path))}
    config, base = read(path), Path(path).parent
    context = context or config.get("current-context") or ""
    if not context:
        raise KubeconfigError(f"kubeconfig {path}: current-context is not set")
    chosen = _named(config, "context", context, path)
    cluster = _named(config, "cluster", chosen.get("cluster", ""), path)
    user = _named(config, "user", chosen["user"], path) if chosen.get("user") else {}
    servers = [cluster["server"]] if cluster.get("server") else []
    for extension in cluster.get("extensions") or ():
        if extension.get("name") == SERVERS_EXTENSION:
            servers = list(extension.get("extension", {}).get("servers") or servers)
    if not servers:
        raise KubeconfigError(f"kubeconfig {path}: cluster {chosen.get('cluster')!r} has no server")
    where, who = _Entry(cluster, base, files), _Entry(user, base, files)
    token = who.file("tokenFile")
    return Kubeconfig(
        servers=[s.rstrip("/") for s in servers],
        ca=where.value("certificate-authority"),
        cert=who.value("client-certificate"),
        key=who.value("client-key"),
        token=token.decode().strip() if token else user.get("token", ""),
        username=user.get("username", ""),
        password=user.get("password", ""),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        namespace=chosen.get("namespace") or "default",
        server_name=cluster.get("tls-server-name", ""),
        context=context,
        files=files,
    )


def write(
    path: str | Path,
    cluster: str,
    servers: list[str],
    ca: bytes,
    *,
    user: str,
    cert: bytes | None = None,
    key: bytes | None = None,
    token: str = "",
    front: str = "",
) -> None:
    """Write a kubeconfig with one context, readable by its owner alone, replacing the file in one step.

    `front` is a server for clients that know no more than one, in place of the first.
    """
    where: dict[str, Any] = {"server": front or servers[0], "certificate-authority-data": base64.b64encode(ca).decode()}
    if len(servers) > 1 or front:
        where["extensions"] = [{"name": SERVERS_EXTENSION, "extension": {"servers": servers}}]
    who: dict[str, str] = {"token": token} if token else {}
    if cert and key:
        who["client-certificate-data"] = base64.b64encode(cert).decode()
        who["client-key-data"] = base64.b64encode(key).decode()
    context = f"{user}@{cluster}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": where}],
        "users": [{"name": user, "user": who}],
        "contexts": [{"name": context, "context": {"cluster": cluster, "user": user}}],
        "current-context": context,
    }
    save(path, config)


def save(path: str | Path, config: dict[str, Any]) -> None:
    """Replace the file with this config in one step, mode 0600."""
    target = Path(path)
    with tempfile.NamedTemporaryFile("w", dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
        yaml.safe_dump(config, file, sort_keys=False)
    Path(file.name).replace(target)
