"""An inventory names machines without ambiguity, or is refused with a line that says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.inventory import InventoryError, read
from tests.lab.machines import DockerMachine, SshMachine

GOOD = """
kubeconfig: /tmp/lab.kubeconfig
machines:
- {name: cp-1, role: control-plane, address: 10.0.0.11, ssh: {user: admin, key: /keys/lab}}
- {name: node-1, role: worker, address: 10.0.0.21, container: lab-node-1}
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "inventory.yaml"
    path.write_text(text)
    return path


def test_machines_are_reached_as_the_inventory_says(tmp_path: Path) -> None:
    machines = [entry.machine() for entry in read(written(tmp_path, GOOD)).machines]
    assert [(m.name, m.role, m.address) for m in machines] == [
        ("cp-1", "control-plane", "10.0.0.11"),
        ("node-1", "worker", "10.0.0.21"),
    ]
    assert isinstance(machines[0], SshMachine)
    assert isinstance(machines[1], DockerMachine)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("kubeconfig:", "color: red\nkubeconfig:"), "color: Extra inputs are not permitted"),
        (("user: admin", "usr: admin"), "machines.0.ssh.usr: Extra inputs are not permitted"),
        ((", container: lab-node-1", ""), "machine node-1: give either ssh or container"),
        (("10.0.0.21", "node"), "machines.1.address: value is not a valid IPv4 or IPv6 address"),
        (("10.0.0.21", "10.0.0.11"), "two machines with the address 10.0.0.11"),
        (("node-1, role", "cp-1, role"), "two machines with the name cp-1"),
        (("control-plane", "worker"), "no machine has the role control-plane"),
        (("machines:", "machines: ["), "is not YAML"),
    ],
)
def test_a_wrong_inventory_is_refused_in_one_line(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    with pytest.raises(InventoryError) as error:
        read(written(tmp_path, GOOD.replace(*change)))
    assert says in str(error.value)


def test_an_inventory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match=r"inventory .*nowhere\.yaml: No such file"):
        read(tmp_path / "nowhere.yaml")
