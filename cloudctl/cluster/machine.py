"""A one-node cluster under systemd: certificates and the environment files that hold the daemons' flags.

`python -m cloudctl.cluster.machine` is what `make install` runs. The flags come from the same functions as those of
`cloudctl up`; only addresses and folders differ, because here the node is the machine itself.
"""

from __future__ import annotations

import argparse
import socket
import sys
from pathlib import Path

from cloudctl.cluster import daemons, identities
from cloudctl.cluster.state import Cluster, Decisions
from cloudctl.supervisor.spec import Spec

_ANYWHERE = ("192.0.2.1", 9)  # RFC 5737; connecting a datagram socket sends nothing


class Machine(Cluster):
    """The cluster whose one node is this machine, under its own name and address."""

    def __init__(self, home: Path, name: str, address: str) -> None:
        super().__init__(home, Decisions())
        self._name, self._address = name, address

    @property
    def node_names(self) -> list[str]:
        """This machine."""
        return [self._name]

    @property
    def api_address(self) -> str:
        """Where other machines find the API server."""
        return self._address

    def node_address(self, name: str) -> str:
        """The same, for the node."""
        return self._address


def primary_address() -> str:
    """The address this machine uses towards others."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ANYWHERE)
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def environment(spec: Spec) -> str:
    """The EnvironmentFile of a daemon: its flags in one variable, which the unit splits at blanks."""
    flags = spec.argv[3:] if spec.argv[0] == sys.executable else spec.argv[1:]
    return f'FLAGS="{" ".join(flags)}"\n'


def unit_name(spec: Spec) -> str:
    """`kubelet` for `kubelet-NODE`, else the daemon's own name."""
    return "kubelet" if spec.name.startswith("kubelet-") else spec.name


def main() -> int:
    """Write what is missing; files that are there stay, because an administrator may have changed them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path("/var/lib/cloudlet"))
    parser.add_argument("--etc", type=Path, default=Path("/etc/cloudlet"))
    parser.add_argument("--node-name", default=socket.gethostname().lower())
    parser.add_argument("--node-address", default=primary_address())
    chosen = parser.parse_args()
    cluster = Machine(chosen.home, chosen.node_name, chosen.node_address)
    cluster.save()
    identities.ensure(cluster)
    chosen.etc.mkdir(parents=True, exist_ok=True)
    for spec in daemons.specs(cluster):
        path = chosen.etc / f"{unit_name(spec)}.env"
        if not path.exists():
            path.write_text(environment(spec))
            path.chmod(0o640)
            sys.stdout.write(f"wrote {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
