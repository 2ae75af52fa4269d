"""Every fault is healed, also when what happens during it fails, and hits nothing but its target."""

from __future__ import annotations

import pytest

from tests.lab import disks
from tests.lab.cases import EVERY, REPRESENTATIVE, case, chosen
from tests.lab.components import COMPONENTS
from tests.lab.faults import FAULTS, Impossible, Target, network_rules
from tests.unit.lab.machines import FakeMachine

UNIT = "cloudlet-etcd.service"
ANSWERS = {
    "du": "1000 /var/lib/cloudlet/etcd",
    "df": "Avail\n2000",
    "findmnt": "254:0",
    "find": "/usr/lib/x/libfaketime.so.1\n",
    "systemctl show": "4711\n",
    "ip": "10.0.0.12 dev eth0 src 10.0.0.11",
}


def answer(argv: tuple[str, ...]) -> str:
    return ANSWERS.get(" ".join(argv[:2]), ANSWERS.get(argv[0], ""))


def target(machine: FakeMachine, fault: str) -> Target:
    if FAULTS[fault].needs == "vm":
        return Target(machine, others=("10.0.0.12", "10.244.1.0/24"))
    return Target(machine, UNIT)


async def during(fault: str, machine: FakeMachine) -> tuple[list[str], list[str]]:
    """What the machine was told on the way in and on the way out, when the time between them fails."""
    before = 0
    with pytest.raises(ZeroDivisionError):
        async with FAULTS[fault].inject(target(machine, fault)):
            before = len(machine.said)
            raise ZeroDivisionError
    return machine.said[:before], machine.said[before:]


@pytest.mark.parametrize(
    ("fault", "last", "first"),
    [
        ("kill", f"systemctl kill --signal=KILL --kill-whom=main {UNIT}", None),
        ("pause", f"systemctl kill --signal=STOP --kill-whom=all {UNIT}", f"systemctl kill --signal=CONT --kill-whom=all {UNIT}"),
        ("restart", f"systemctl restart {UNIT}", None),
        ("stop", f"systemctl stop {UNIT}", f"systemctl start {UNIT}"),
        ("reboot", "reboot", None),
        ("power-loss", "kill", "start"),
        ("partition", "nft -f -", "nft -f -"),
        ("packet-loss", "nft -f -", "nft -f -"),
        (
            "packet-delay",
            "tc qdisc add dev eth0 root netem delay 200ms 50ms",
            "tc qdisc del dev eth0 root",
        ),
        ("full-disk", "dd if=/dev/zero of=/var/lib/cloudlet/etcd/filler bs=4096 status=none", f"systemctl stop {UNIT}"),
        ("slow-disk", "tee /sys/fs/cgroup/blkio/cloudlet-lab/cgroup.procs", "tee /sys/fs/cgroup/blkio/cgroup.procs"),
        ("clock-ahead", f"tee /run/cloudlet-lab/{UNIT}.clock", f"rm --recursive --force /run/systemd/system/{UNIT}.d"),
    ],
)  # fmt: skip
async def test_a_fault_is_done_on_the_way_in_and_healed_on_the_way_out(
    fault: str, last: str, first: str | None
) -> None:
    done, healed = await during(fault, FakeMachine(answer=answer))
    assert done[-1] == last
    assert (healed[0] if healed else None) == first or (first and healed[0].startswith(first))


async def test_what_a_partition_leaves_is_no_table() -> None:
    machine = FakeMachine(answer=answer)
    await during("partition", machine)
    assert machine.written["-"] == "add table inet lab\ndelete table inet lab\n"


def test_rules_name_the_others_and_the_way() -> None:
    both = network_rules(("10.0.0.12", "10.244.1.0/24"), ("in", "out"))
    assert "ip saddr { 10.0.0.12, 10.244.1.0/24 } drop" in both
    assert "ip daddr { 10.0.0.12, 10.244.1.0/24 } drop" in both
    assert "daddr" not in network_rules(("10.0.0.12",), ("in",))
    assert "saddr" not in network_rules(("10.0.0.12",), ("out",))


async def test_a_clock_jumps_while_the_daemon_runs() -> None:
    machine = FakeMachine(answer=answer)
    async with FAULTS["clock-behind"].inject(Target(machine, UNIT)):
        assert machine.said[-2:] == [f"systemctl restart {UNIT}", f"tee /run/cloudlet-lab/{UNIT}.clock"]
        assert machine.written[f"/run/cloudlet-lab/{UNIT}.clock"] == "-3600\n"
    assert machine.said[-1] == f"systemctl restart {UNIT}"


@pytest.mark.parametrize(("fault", "missing"), [("packet-delay", "tc"), ("clock-ahead", "find")])
async def test_a_fault_that_a_machine_cannot_have_says_why(fault: str, missing: str) -> None:
    machine = FakeMachine(answer=lambda argv: None if argv[0] == missing else answer(argv))
    with pytest.raises(Impossible, match=r"."):
        async with FAULTS[fault].inject(target(machine, fault)):
            pass


async def test_data_goes_back_to_the_real_disk_with_what_was_written_meanwhile() -> None:
    machine = FakeMachine(answer=answer)
    async with disks.small(machine, UNIT):
        machine.said.clear()
    assert machine.said == [
        f"systemctl stop {UNIT}",
        f"mountpoint --quiet {disks.DATA}",
        f"rm --force {disks.DATA}/filler",
        f"cp --archive {disks.DATA} {disks.DATA}.back",
        f"umount {disks.DATA}",
        f"test -e {disks.DATA}.kept",
        f"test -e {disks.DATA}",
        f"rmdir {disks.DATA}",
        f"mv {disks.DATA}.back {disks.DATA}",
        f"rm --recursive --force {disks.DATA}.kept",
        f"systemctl start {UNIT}",
    ]


async def test_data_that_could_not_be_moved_is_put_back() -> None:
    machine = FakeMachine(answer=lambda argv: None if argv[0] in ("mount", "mountpoint") else answer(argv))
    with pytest.raises(Exception, match="it failed"):
        async with disks.small(machine, UNIT):
            pass
    assert f"mv {disks.DATA}.kept {disks.DATA}" in machine.said
    assert machine.said[-1] == f"systemctl start {UNIT}"


async def test_a_disk_that_is_not_small_is_never_filled() -> None:
    machine = FakeMachine(answer=lambda argv: "Avail\n99999999999" if argv[0] == "df" else "")
    with pytest.raises(Exception, match="that is no small file system"):
        await disks.fill(machine, "/var/lib/cloudlet/etcd")
    assert not any(line.startswith("dd") for line in machine.said)


def test_every_fault_and_every_component_is_in_the_matrix() -> None:
    assert {each.fault.name for each in EVERY} == set(FAULTS)
    assert {component.name for each in EVERY for component in each.components} == set(COMPONENTS)
    assert {each.fault for each in REPRESENTATIVE} <= set(FAULTS.values())


def test_cases_are_chosen_by_fault_and_component() -> None:
    assert {str(each) for each in chosen("kill", "scheduler")} == {
        "kill scheduler", "kill apiserver + scheduler", "kill controllers + scheduler",
    }  # fmt: skip
    with pytest.raises(LookupError, match="faults: kill"):
        chosen("earthquake")
    with pytest.raises(ValueError, match="reboot needs a vm, and scheduler is none"):
        case("reboot", "scheduler")
