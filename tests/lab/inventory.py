"""The inventory: which machines a lab consists of, as a file, so that the same tests run on containers and on real VMs.

```yaml
kubeconfig: ~/.kube/lab.kubeconfig
machines:
- {name: cp-1, role: control-plane, address: 10.0.0.11, ssh: {user: root, key: ~/.ssh/lab}}
- {name: node-1, role: worker, address: 172.30.0.5, container: lab-node-1}
```
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, IPvAnyAddress, ValidationError, model_validator

from tests.lab.machines import DockerMachine, Machine, Role, SshMachine


class InventoryError(Exception):
    """The file is missing or says something that is not understood; the text is for people."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Ssh(_Strict):
    """How to log in: a user who is root or may `sudo` without a password, and the file of a private key."""

    user: str = "root"
    key: Path
    port: int = Field(22, ge=1, le=65535)


class Entry(_Strict):
    """One machine: `ssh` for a VM, `container` for a node that is a container."""

    name: str = Field(min_length=1)
    role: Role
    address: IPvAnyAddress
    ssh: Ssh | None = None
    container: str = ""

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if (self.ssh is None) == (not self.container):
            raise ValueError(f"machine {self.name}: give either ssh or container")
        return self

    def machine(self) -> Machine:
        """Its verbs."""
        address = str(self.address)
        if self.ssh is None:
            return DockerMachine(self.name, address, self.role, self.container)
        key = str(self.ssh.key.expanduser())
        return SshMachine(self.name, address, self.role, user=self.ssh.user, key=key, port=self.ssh.port)


class Inventory(_Strict):
    """The machines of one cluster and the administrator's kubeconfig. `name` of a machine is its node's name."""

    kubeconfig: Path
    machines: list[Entry] = Field(min_length=1)
    image: str = ""
    """An image with a shell that the machines have; by default the one that tests make."""

    @model_validator(mode="after")
    def _unambiguous(self) -> Self:
        for what in ("name", "address"):
            values = [str(getattr(entry, what)) for entry in self.machines]
            if twice := sorted({value for value in values if values.count(value) > 1}):
                raise ValueError(f"two machines with the {what} {twice[0]}")
        if not any(entry.role == "control-plane" for entry in self.machines):
            raise ValueError("no machine has the role control-plane")
        return self


def read(path: Path) -> Inventory:
    """The inventory in a file. Raises InventoryError with one line per mistake."""
    try:
        return Inventory.model_validate(yaml.safe_load(path.read_text()))
    except OSError as error:
        raise InventoryError(f"inventory {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise InventoryError(f"inventory {path} is not YAML: {error}") from error
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()]
        raise InventoryError(f"inventory {path}: " + "; ".join(lines)) from error
