"""Kubeconfig files: where the API servers are and who we are. Source: the Kubernetes `Config` v1 format.

Several servers of one cluster stand in our extension `cloudlet.dev/servers`, which other clients ignore.
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


class KubeconfigError(Exception):
    """The file is missing, is no kubeconfig, or names a context that is not in it. The text is for people."""


@dataclass(slots=True)
class Kubeconfig:
    """One context, resolved: everything needed to open a connection."""

    servers: list[str]
    ca: bytes | None = None
    cert: bytes | None = None
    key: bytes | None = None
    token: str = ""
    token_file: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    insecure: bool = False
    namespace: str = "default"
    server_name: str = ""
    context: str = ""

    def ssl_context(self) -> ssl.SSLContext:
        """A client context that trusts the cluster's CA alone and presents our certificate, if we have one."""
        context = ssl.create_default_context(cadata=self.ca.decode() if self.ca else None)
        # CAs made before RFC 5280's key identifiers were usual are still cluster CAs.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert and self.key:
            # OpenSSL loads a chain from files only; the pair is gone from disk before this returns.
            with tempfile.NamedTemporaryFile() as pair:
                pair.write(self.cert + b"\n" + self.key)
                pair.flush()
                context.load_cert_chain(pair.name)
        return context

    def bearer(self) -> str:
        """The token to send, read anew from its file because files rotate; empty without one."""
        return Path(self.token_file).read_text().strip() if self.token_file else self.token


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


def _bytes(entry: dict[str, Any], name: str, base: Path) -> bytes | None:
    """`<name>-data` decoded, else the contents of the file `<name>` names, relative to the kubeconfig."""
    try:
        if entry.get(f"{name}-data"):
            return base64.b64decode(entry[f"{name}-data"], validate=True)
        return (base / entry[name]).read_bytes() if entry.get(name) else None
    except (OSError, binascii.Error) as error:
        raise KubeconfigError(f"kubeconfig: {name}: {error}") from error


def load(path: str | Path, context: str = "") -> Kubeconfig:
    """One context of the file (the current one by default). Raises KubeconfigError."""
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
            servers += [s for s in extension.get("extension", {}).get("servers", ()) if s not in servers]
    if not servers:
        raise KubeconfigError(f"kubeconfig {path}: cluster {chosen.get('cluster')!r} has no server")
    return Kubeconfig(
        servers=[s.rstrip("/") for s in servers],
        ca=_bytes(cluster, "certificate-authority", base),
        cert=_bytes(user, "client-certificate", base),
        key=_bytes(user, "client-key", base),
        token=user.get("token", ""),
        token_file=user.get("tokenFile", ""),
        username=user.get("username", ""),
        password=user.get("password", ""),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        namespace=chosen.get("namespace") or "default",
        server_name=cluster.get("tls-server-name", ""),
        context=context,
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
) -> None:
    """Write a kubeconfig with one context, readable by its owner alone, replacing the file in one step."""
    where: dict[str, Any] = {"server": servers[0], "certificate-authority-data": base64.b64encode(ca).decode()}
    if len(servers) > 1:
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
