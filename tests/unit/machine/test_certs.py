"""The certificates of a control plane as time goes by: what is due when, and what a renewal leaves as it was."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from client import kubeconfig
from cloudctl.cluster.pairs import read_pair, write_pair
from cloudctl.cluster.pki import Authority, Leaf, is_issued_by, served_names
from cloudctl.cluster.state import ClusterError
from cloudctl.machine import certificates
from cloudctl.machine.certs import inventory, timer
from cloudctl.machine.certs.inventory import State
from cloudctl.machine.certs.places import InOneFile
from cloudctl.machine.certs.renewal import prolong, refuse_worker, renew
from cloudctl.machine.discovery import ca_hash
from cloudctl.machine.layout import Machine
from cloudctl.machine.settings import MachineSettings, Role

DAY = datetime.timedelta(days=1)
SERVERS = ["https://192.0.2.1:6443", "https://192.0.2.2:6443"]


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A control plane as init leaves it."""
    made = Machine(MachineSettings(node_name="one", address="192.0.2.1"), tmp_path / "home", tmp_path / "etc")
    certificates.ensure(made, SERVERS)
    certificates.ensure_kubelet(made, SERVERS)
    return made


def names(machine: Machine) -> list[str]:
    return [one.name for one in certificates.wanted(machine)]


def held(machine: Machine) -> dict[str, x509.Certificate | None]:
    return {one.name: one.place.read() for one in certificates.wanted(machine)}


def test_nothing_is_renewed_before_it_is_due(machine: Machine) -> None:
    before = held(machine)
    assert renew(machine, now()) == renew(machine, now() + 334 * DAY) == []
    assert held(machine) == before


def test_every_certificate_is_renewed_a_month_before_it_ends_and_then_good_again(machine: Machine) -> None:
    later = now() + 336 * DAY
    assert renew(machine, later) == names(machine)
    assert renew(machine, later) == []
    assert all(cert and cert.not_valid_after_utc > later + 364 * DAY for cert in held(machine).values())


def test_short_lives_are_renewed_with_a_third_left(tmp_path: Path) -> None:
    settings = MachineSettings.model_validate(
        {"nodeName": "one", "address": "192.0.2.1", "cluster": {"certificateSeconds": 90}}
    )
    short = Machine(settings, tmp_path / "home", tmp_path / "etc")
    certificates.ensure(short, SERVERS)
    assert renew(short, now() + datetime.timedelta(seconds=50)) == []
    assert renew(short, now() + datetime.timedelta(seconds=61)) == names(short)


def test_all_can_be_renewed_before_their_time(machine: Machine) -> None:
    before = held(machine)
    assert renew(machine, now(), everything=True) == names(machine)
    assert not set(before.values()) & set(held(machine).values())


def test_certificates_from_the_future_are_renewed_when_the_clock_was_set_back(machine: Machine) -> None:
    assert renew(machine, now() - DAY) == names(machine)


def test_a_control_plane_whose_certificates_have_all_ended_helps_itself_and_its_kubelet(machine: Machine) -> None:
    later = now() + 400 * DAY
    assert renew(machine, later) == [*names(machine), "kubelet-client"]
    found = InOneFile(machine.kubelet_pair("client")).read()
    assert found and found.not_valid_after_utc > later
    assert found.subject.rfc4514_string() == "CN=system:node:one,O=system:nodes"
    assert kubeconfig.load(machine.kubelet_kubeconfig).cert


def test_what_the_kubelet_renews_itself_is_left_to_it(machine: Machine) -> None:
    path = machine.kubelet_pair("client")
    before = path.read_bytes()
    renew(machine, now() + 364 * DAY)
    assert path.read_bytes() == before
    path.unlink()
    assert "kubelet-client" not in renew(machine, now() + 400 * DAY)


def test_a_renewal_keeps_modes_servers_and_further_contexts(machine: Machine) -> None:
    path = machine.admin_kubeconfig
    config = kubeconfig.read(path)
    config["contexts"].append({"name": "mine", "context": {**config["contexts"][0]["context"], "namespace": "shop"}})
    path.write_text(yaml.safe_dump(config))
    renew(machine, now(), everything=True)
    assert kubeconfig.load(path).servers == SERVERS
    assert kubeconfig.load(path, "mine").namespace == "shop"
    assert path.stat().st_mode & 0o777 == 0o600
    assert (machine.pki / "apiserver.key").stat().st_mode & 0o777 == 0o600
    assert (machine.pki / "apiserver.crt").stat().st_mode & 0o777 == 0o644
    assert not list(machine.home.rglob("*.tmp"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_renewal_leaves_files_to_their_owner(machine: Machine) -> None:
    paths = [machine.pki / "apiserver.key", machine.pki / "etcd" / "server.crt", machine.kubeconfig("scheduler")]
    for path in paths:
        os.chown(path, 1234, 1235)
    renew(machine, now(), everything=True)
    assert {(path.stat().st_uid, path.stat().st_gid) for path in paths} == {(1234, 1235)}


def test_a_renewal_keeps_names_that_an_administrator_has_added(machine: Machine) -> None:
    files = machine.pki / "apiserver.crt", machine.pki / "apiserver.key"
    wanted = next(one for one in certificates.wanted(machine) if one.name == "apiserver").leaf
    authority = certificates.load_authority(machine, "ca")
    more = Leaf(wanted.common_name, wanted.organizations, wanted.usages, (*wanted.names, "api.example.org"))
    write_pair(*files, authority.issue(more))
    assert renew(machine, now()) == []
    renew(machine, now() + 340 * DAY)
    found = read_pair(*files)
    assert found and "api.example.org" in {name.value for name in served_names(found)}


def test_a_pair_that_was_half_replaced_when_the_power_went_is_made_anew(machine: Machine) -> None:
    (machine.pki / "apiserver.key").write_bytes((machine.pki / "apiserver-kubelet-client.key").read_bytes())
    assert renew(machine, now()) == ["apiserver"]


def test_a_damaged_kubeconfig_is_made_anew(machine: Machine) -> None:
    machine.kubeconfig("scheduler").write_text("{")
    assert renew(machine, now()) == ["scheduler.kubeconfig"]
    assert kubeconfig.load(machine.kubeconfig("scheduler")).servers == [machine.server]


def test_what_can_be_renewed_is_even_when_an_authority_is_not_there(machine: Machine) -> None:
    (machine.pki / "etcd" / "ca.key").unlink()
    later = now() + 340 * DAY
    with pytest.raises(ClusterError, match=r"etcd/server: the certificate authority is not complete"):
        renew(machine, later)
    assert not (machine.pki / "etcd" / "ca.key").exists()
    cert = read_pair(machine.pki / "apiserver.crt", machine.pki / "apiserver.key")
    assert cert and cert.not_valid_after_utc > later + 300 * DAY


def test_half_an_authority_is_not_replaced_by_a_new_one(machine: Machine) -> None:
    (machine.pki / "ca.key").unlink()
    before = (machine.pki / "ca.crt").read_bytes()
    with pytest.raises(ClusterError, match="not complete"):
        certificates.ensure(machine, SERVERS)
    assert (machine.pki / "ca.crt").read_bytes() == before


def test_authorities_are_prolonged_with_their_keys(machine: Machine) -> None:
    later, old = now() + 3640 * DAY, (machine.pki / "ca.crt").read_bytes()
    assert prolong(machine, now()) == []
    assert prolong(machine, later) == ["ca", "front-proxy-ca", "etcd/ca"]
    assert prolong(machine, later) == []
    new = (machine.pki / "ca.crt").read_bytes()
    assert ca_hash(new) == ca_hash(old) and old in new
    authority = certificates.load_authority(machine, "ca")
    assert authority.certificate.not_valid_after_utc > later + 3600 * DAY
    # What was issued before is still good.
    cert = read_pair(machine.pki / "apiserver.crt", machine.pki / "apiserver.key")
    assert cert and is_issued_by(cert, authority.certificate)


def test_an_authority_that_has_ended_issues_nothing(machine: Machine) -> None:
    with pytest.raises(ClusterError, match=r"has expired at .*certs revive"):
        renew(machine, now() + 3651 * DAY)
    prolong(machine, now() + 3651 * DAY)
    assert renew(machine, now() + 3651 * DAY)


def test_a_certificate_does_not_outlive_its_authority(machine: Machine) -> None:
    authority = certificates.load_authority(machine, "ca")
    late = x509.load_pem_x509_certificate(authority.issue(Leaf("x"), now=now() + 3640 * DAY).cert)
    assert late.not_valid_after_utc == authority.certificate.not_valid_after_utc


def test_of_a_bundle_the_authority_of_the_key_signs(machine: Machine, tmp_path: Path) -> None:
    other = Authority.have(tmp_path, "other", "kubernetes")
    path = machine.pki / "ca.crt"
    own = path.read_bytes()
    path.write_bytes(other.bundle + own)
    found = certificates.load_authority(machine, "ca")
    assert found.certificate.public_bytes(serialization.Encoding.PEM) == own
    path.write_bytes(other.bundle)
    with pytest.raises(ClusterError, match="do not belong together"):
        certificates.load_authority(machine, "ca")


@pytest.mark.parametrize(
    ("days", "state"), [(0, State.OK), (334, State.OK), (336, State.DUE), (364, State.DUE), (366, State.EXPIRED)]
)
def test_the_inventory_says_how_it_stands_at_any_time(machine: Machine, days: int, state: State) -> None:
    found = {entry.name: entry.state(now() + days * DAY) for entry in inventory.entries(machine)}
    assert {found[name] for name in names(machine)} == {state}
    assert found["ca"] == State.OK and found["kubelet-server"] == State.MISSING


def test_the_inventory_of_a_worker_has_its_kubelet_and_the_ca(machine: Machine) -> None:
    worker = Machine(machine.settings.model_copy(update={"role": Role.WORKER}), machine.home, machine.etc)
    assert [entry.name for entry in inventory.entries(worker)] == ["kubelet-client", "kubelet-server", "ca"]
    with pytest.raises(ClusterError, match="its kubelet renews"):
        refuse_worker(worker)


def test_the_inventory_lists_every_authority_of_a_bundle(machine: Machine, tmp_path: Path) -> None:
    path = machine.pki / "ca.crt"
    path.write_bytes(path.read_bytes() + Authority.have(tmp_path, "next", "kubernetes").bundle)
    assert [e.name for e in inventory.entries(machine) if e.name.startswith("ca")] == ["ca", "ca (2)"]


def test_programs_are_told_times_and_seconds(machine: Machine) -> None:
    entry = inventory.entries(machine)[0]
    found = entry.to_json(now() + 365 * DAY - datetime.timedelta(hours=1))
    assert (found["name"], found["state"], found["subject"]) == ("apiserver", "due", "CN=kube-apiserver")
    assert 3500 < found["secondsLeft"] < 3700 and found["notAfter"].endswith("Z")


def test_the_timer_looks_often_where_lives_are_short_and_as_its_unit_says_elsewhere() -> None:
    assert timer.override(None) == timer.override(86400) == ""
    assert "OnUnitInactiveSec=7\n" in timer.override(90)
    assert "OnUnitInactiveSec=1\n" in timer.override(5)
