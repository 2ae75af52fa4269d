"""The same verbs reach a container through Docker and a VM through SSH, as one argument list either way."""

from __future__ import annotations

import pytest

from client.command import CommandError, Commands
from tests.lab.machines import DockerMachine, SshMachine


class Said(Commands):
    """Writes down what would be run."""

    def __init__(self, fails: str = "") -> None:
        super().__init__()
        self.lines: list[tuple[str, ...]] = []
        self._fails = fails

    async def run(self, *argv: str, stdin: bytes | None = None, timeout: float = 30.0) -> str:
        self.lines.append(argv)
        if self._fails and self._fails in argv[-1]:
            raise CommandError(argv, 255, "connection closed")
        return "out"


def ssh(said: Said, user: str = "root") -> SshMachine:
    return SshMachine("cp-1", "10.0.0.11", "control-plane", user=user, key="/keys/lab", port=2222, commands=said)


async def test_a_container_is_reached_by_exec() -> None:
    said = Said()
    machine = DockerMachine("cp-1", "10.0.0.11", "control-plane", "lab-cp-1", said)
    assert await machine.run("echo", "a b", stdin=b"x") == "out"
    await machine.run("true")
    assert said.lines == [("docker", "exec", "-i", "lab-cp-1", "echo", "a b"), ("docker", "exec", "lab-cp-1", "true")]


async def test_a_container_loses_its_power_and_gets_it_back() -> None:
    said = Said()
    machine = DockerMachine("cp-1", "10.0.0.11", "control-plane", "lab-cp-1", said)
    await machine.kill()
    await machine.start()
    await machine.reboot()
    assert [line[1:] for line in said.lines] == [
        ("kill", "--signal", "KILL", "lab-cp-1"),
        ("wait", "lab-cp-1"),
        ("start", "lab-cp-1"),
        ("kill", "--signal", "SIGRTMIN+3", "lab-cp-1"),
        ("wait", "lab-cp-1"),
        ("start", "lab-cp-1"),
    ]


async def test_ssh_carries_arguments_as_they_are() -> None:
    said = Said()
    await ssh(said).run("echo", "a b; rm -r /")
    await ssh(said, "admin").run("true")
    first, second = said.lines
    assert first[0] == "ssh" and first[-3:] == ("root@10.0.0.11", "--", "echo 'a b; rm -r /'")
    assert {"BatchMode=yes", "/keys/lab", "2222"} <= set(first)
    assert second[-1] == "sudo -n true"


@pytest.mark.parametrize("verb", ["reboot", "kill"])
async def test_a_vm_counts_as_down_when_its_connection_breaks(verb: str) -> None:
    said = Said(fails="sleep")
    await getattr(ssh(said), verb)()
    assert [line[-1] for line in said.lines][-1] == "sleep 60"


async def test_a_vm_that_stays_up_when_told_to_go_down_is_named() -> None:
    with pytest.raises(TimeoutError, match="cp-1 was told to go down"):
        await ssh(Said()).reboot()
