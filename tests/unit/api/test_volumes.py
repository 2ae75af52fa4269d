"""Names that controllers and kubelets must agree on."""

from hashlib import sha256

import pytest

from api.services import is_headless
from api.types import Object
from api.volumes import attachment_name, claim_name, unique_name


def test_an_attachment_is_named_as_kubernetes_names_it() -> None:
    assert attachment_name("d", "h", "n") == "csi-" + sha256(b"hdn").hexdigest()


def test_a_node_lists_a_volume_by_driver_and_handle() -> None:
    assert unique_name({"spec": {"csi": {"driver": "d", "volumeHandle": "h"}}}) == "kubernetes.io/csi/d^h"
    assert unique_name({"spec": {"hostPath": {"path": "/"}}}) == ""


@pytest.mark.parametrize(
    ("volume", "claim"),
    [
        ({"name": "v", "persistentVolumeClaim": {"claimName": "c"}}, "c"),
        ({"name": "v", "ephemeral": {}}, "p-v"),
        ({"name": "v", "emptyDir": {}}, ""),
    ],
)
def test_a_volume_names_its_claim(volume: Object, claim: str) -> None:
    assert claim_name({"metadata": {"name": "p"}}, volume) == claim


def test_a_service_is_headless_only_by_wish() -> None:
    assert is_headless({"spec": {"clusterIP": "None"}})
    assert not is_headless({"spec": {}}) and not is_headless({"spec": {"clusterIP": "10.96.0.1"}})
