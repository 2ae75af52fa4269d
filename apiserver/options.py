"""The server's flags, named as kube-apiserver names them."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that may be set from outside. Paths are None when not given."""

    etcd_servers: str = "http://127.0.0.1:2379"
    etcd_follow_members: bool = False
    etcd_prefix: str = "/registry"
    etcd_cafile: Path | None = None
    etcd_certfile: Path | None = None
    etcd_keyfile: Path | None = None
    bind_address: str = "0.0.0.0"  # noqa: S104 - the API is meant to be reached from other machines
    advertise_address: str = ""
    secure_port: int = 6443
    tls_cert_file: Path | None = None
    tls_private_key_file: Path | None = None
    client_ca_file: Path | None = None
    service_account_key_file: tuple[Path, ...] = ()
    """May be given several times; a file may hold several keys."""
    service_account_signing_key_file: Path | None = None
    service_account_issuer: str = "https://kubernetes.default.svc.cluster.local"
    api_audiences: str = ""
    service_cluster_ip_range: str = "10.96.0.0/16"
    service_node_port_range: str = "30000-32767"
    token_auth_file: Path | None = None
    kubelet_client_certificate: Path | None = None
    kubelet_client_key: Path | None = None
    kubelet_certificate_authority: Path | None = None
    authorization_mode: str = "Node,RBAC"
    anonymous_auth: bool = True
    workers: int = 1
    audit_log_path: str = ""
    event_ttl: int = 3600
    compaction_interval: int = 300
    max_requests_inflight: int = 400
    max_mutating_requests_inflight: int = 200
    min_request_timeout: int = 1800
    shutdown_delay_duration: float = 0.0
    """Seconds that the server goes on after it has been told to stop, not ready any more; on the command line as "5s"."""
    log_level: str = "info"


def seconds(text: str) -> float:
    """A duration as Kubernetes writes it ("1m30s"), in seconds. Raises ValueError."""
    parts = re.findall(r"([0-9.]+)(ms|h|m|s)", text)
    if text != "0" and (not parts or "".join(number + unit for number, unit in parts) != text):
        raise ValueError(f"{text!r} is no duration such as 5s or 1m30s")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def parse(arguments: list[str] | None = None) -> Options:
    """Read the command line; exits with a usage message when it is wrong."""
    parser = argparse.ArgumentParser(prog="cloudlet-apiserver", description=__doc__)
    for option in fields(Options):
        flag = "--" + option.name.replace("_", "-")
        kind = str(option.type)
        if kind == "bool":
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=option.default)
            continue
        if kind.startswith("tuple"):
            parser.add_argument(flag, type=Path, action="append", default=[])
            continue
        convert = seconds if kind == "float" else int if kind == "int" else Path if kind.startswith("Path") else str
        parser.add_argument(flag, type=convert, default=option.default)
    found: dict[str, Any] = vars(parser.parse_args(arguments))
    found["service_account_key_file"] = tuple(found["service_account_key_file"])
    return Options(**found)
