"""What the words of the single verbs mean: pure functions."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from api import resources
from cloudctl import generators, manifests, revisions
from cloudctl.app import ENTRIES, Tree, _plain_switches, build
from cloudctl.commands import cp, metadata, node, wait
from cloudctl.commands.apply import LAST_APPLIED, annotated
from cloudctl.commands.portforward import Forward
from cloudctl.commands.set import pod_spec
from cloudctl.faults import Fault
from cloudctl.podchoice import object_selector
from cloudctl.rolloutstate import judge


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["pods", "a", "b", "x=1", "y-"], (["pods", "a", "b"], {"x": "1"}, ["y"])),
        (["deploy/a", "example.com/x=1=2"], (["deploy/a"], {"example.com/x": "1=2"}, [])),
        (["pods", "a"], (["pods", "a"], {}, [])),
    ],
)
def test_label_words(words: list[str], expected: Any) -> None:
    assert metadata.split(words) == expected


@pytest.mark.parametrize("words", [["pods", "a", "x=1", "b"], ["pods", "a", "x=1", "x-"]])
def test_label_words_that_do_not_fit(words: list[str]) -> None:
    with pytest.raises(Fault):
        metadata.split(words)


TAINT = {"key": "a", "value": "b", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("present", "words", "expected"),
    [
        ([], ["a=b:NoSchedule"], [TAINT]),
        ([], ["a:NoExecute"], [{"key": "a", "effect": "NoExecute"}]),
        ([TAINT], ["a=b:NoSchedule"], [TAINT]),
        ([TAINT], ["a-"], []),
        ([TAINT], ["a:NoSchedule-"], []),
        ([TAINT, {"key": "z", "effect": "NoExecute"}], ["a-"], [{"key": "z", "effect": "NoExecute"}]),
    ],
)
def test_taints(present: list[Any], words: list[str], expected: list[Any]) -> None:
    assert node.tainted(present, [node.Taint.parse(word) for word in words], overwrite=False) == expected


@pytest.mark.parametrize("words", [["a=c:NoSchedule"], ["z-"], ["a=b:Sometimes"], ["=b:NoSchedule"]])
def test_taints_that_cannot_be(words: list[str]) -> None:
    with pytest.raises(Fault):
        node.tainted([TAINT], [node.Taint.parse(word) for word in words], overwrite=False)


POD = {"metadata": {}, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        ("condition=Ready", True),
        ("condition=ready", True),
        ("condition=Ready=false", False),
        ("condition=Other", False),
        ("jsonpath={.status.phase}=Running", True),
        ("jsonpath='{.status.phase}'=Running", True),
        ("jsonpath={.status.phase}", True),
        ("jsonpath={.status.podIP}", False),
        ("jsonpath=.status.phase=Pending", False),
        ('jsonpath={.status.conditions[?(@.type=="Ready")].status}=True', True),
    ],
)
def test_wait_goals(goal: str, met: bool) -> None:
    assert wait.condition(goal)(POD) is met


def test_an_unknown_goal_lists_the_known_ones() -> None:
    with pytest.raises(Fault, match="condition=NAME, delete, create"):
        wait.condition("whatever")


def rollout(spec: dict[str, Any], status: dict[str, Any], generation: int = 1) -> Any:
    status = {"observedGeneration": 1, **status}
    return judge(
        resources.DEPLOYMENTS, {"metadata": {"name": "w", "generation": generation}, "spec": spec, "status": status}
    )


def test_rollout_sentences() -> None:
    three = {"replicas": 3}
    assert "0 out of 3 new replicas" in rollout(three, {}).text
    assert "1 old replicas are pending" in rollout(three, {"updatedReplicas": 3, "replicas": 4}).text
    assert (
        "2 of 3 updated replicas are available"
        in rollout(three, {"updatedReplicas": 3, "replicas": 3, "availableReplicas": 2}).text
    )
    assert rollout(three, {"updatedReplicas": 3, "replicas": 3, "availableReplicas": 3}).done
    assert not rollout(three, {"updatedReplicas": 3, "replicas": 3, "availableReplicas": 3}, generation=2).done
    late = {"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]}
    assert rollout(three, late).failed


def test_undo_goes_to_the_revision_before() -> None:
    found = {n: revisions.Revision(n, {}, "") for n in (1, 3, 4)}
    assert revisions.goal(found, 0).number == 3
    assert revisions.goal(found, 1).number == 1
    with pytest.raises(Fault, match="revision 2"):
        revisions.goal(found, 2)
    with pytest.raises(Fault, match="no rollout history"):
        revisions.goal({1: found[1]}, 0)


@pytest.mark.parametrize(
    ("word", "local", "remote"),
    [("80", 80, "80"), ("8080:80", 8080, "80"), (":80", 0, "80"), ("8080:http", 8080, "http")],
)
def test_forwards(word: str, local: int, remote: str) -> None:
    assert Forward.parse(word) == Forward(local, remote)


@pytest.mark.parametrize(
    ("word", "place"),
    [
        ("pod:/a", cp.Place("pod", "", "/a")),
        ("ns/pod:a", cp.Place("pod", "ns", "a")),
        ("/a:b", cp.Place("", "", "/a:b")),
        ("./a", cp.Place("", "", "./a")),
    ],
)
def test_places(word: str, place: cp.Place) -> None:
    assert cp.Place.parse(word) == place


def test_an_archive_cannot_leave_its_target(tmp_path: Path) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("top/../../evil")
        entry.size = 1
        tar.addfile(entry, io.BytesIO(b"x"))
    archive.seek(0)
    with pytest.raises(Fault, match="outside of top"):
        cp._unpack(archive, "top", tmp_path / "in")
    assert not (tmp_path / "evil").exists()


def test_an_archive_s_links_are_left_out_and_its_second_names_copied(tmp_path: Path) -> None:
    source = tmp_path / "top"
    (source / "empty").mkdir(parents=True)
    (source / "a").write_text("x")
    (source / "b").hardlink_to(source / "a")
    (source / "out").symlink_to("/")
    archive = io.BytesIO()
    cp._pack(source, "top", archive)
    cp._unpack(archive, "top", tmp_path / "in")
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == ["a", "b", "empty"]
    assert (tmp_path / "in" / "b").read_text() == "x"


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--wait=false"], ["--no-wait"]),
        (["--wait=true", "x"], ["--wait", "x"]),
        (["--force=false"], []),
        (["--other=false"], ["--other=false"]),
        (["--", "--wait=false"], ["--", "--wait=false"]),
    ],
)
def test_switches_take_true_and_false(args: list[str], expected: list[str]) -> None:
    assert _plain_switches(args, {"--wait": ("--wait", "--no-wait"), "--force": ("--force", "")}) == expected


def test_every_verb_of_the_table_is_there() -> None:
    tree = Tree(name="cloudctl")
    for verb in ENTRIES:
        assert tree.get_command(None, verb) is not None, verb
    assert tree.get_command(None, "nonsense") is None
    assert build() is not None


def test_the_annotation_is_what_kubectl_writes() -> None:
    obj = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"x": "<&>"}}
    text = annotated(obj)["metadata"]["annotations"][LAST_APPLIED]
    assert text == (
        '{"apiVersion":"v1","data":{"x":"\\u003c\\u0026\\u003e"},"kind":"ConfigMap",'
        '"metadata":{"annotations":{},"name":"a"}}\n'
    )
    assert "annotations" not in obj["metadata"]


def test_manifests_are_read_from_folders_and_lists(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: b}\n---\n---\nkind: List\n"
                                     "apiVersion: v1\nitems: [{apiVersion: v1, kind: Pod, metadata: {name: c}}]\n")  # fmt: skip
    (tmp_path / "a.json").write_text('{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}')
    (tmp_path / "notes.txt").write_text("not a manifest")
    assert [m.obj["metadata"]["name"] for m in manifests.read([str(tmp_path)])] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "error parsing"),
        ("- a", "an object is wanted, not list"),
        ("kind: Pod", "apiVersion not set"),
        ("apiVersion: v1\nkind: Pod\nmetadata: x", "metadata must be a mapping"),
        ("", "no objects found"),
    ],
)
def test_bad_manifests_name_the_file(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(Fault, match=said) as caught:
        manifests.read([str(path)])
    assert str(path) in str(caught.value)


def test_a_missing_file_is_said_as_kubectl_says_it() -> None:
    with pytest.raises(Fault, match=r'the path "/no/such\.yaml" does not exist'):
        manifests.read(["/no/such.yaml"])


def test_timestamps_in_manifests_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: 2026-01-01}\n")
    assert manifests.read([str(path)])[0].obj["data"]["x"] == "2026-01-01"


def test_generated_objects() -> None:
    deployment = generators.deployment("web", ["nginx:1", "registry:5000/team/side-car@sha256:0"], 2, 80, ())
    names = [c["name"] for c in deployment["spec"]["template"]["spec"]["containers"]]
    assert names == ["nginx", "side-car"]
    service = generators.service("web", "NodePort", ["80:http", "443"])
    assert [p["targetPort"] for p in service["spec"]["ports"]] == ["http", 443]
    binding = generators.binding("RoleBinding", "x", ("Role", "r"), ["u"], ["g"], ["ns:sa"])
    assert [s["kind"] for s in binding["subjects"]] == ["User", "Group", "ServiceAccount"]
    data = generators.configmap("x", {"a": b"text", "b": b"\xff"})
    assert data["data"] == {"a": "text"} and data["binaryData"] == {"b": "/w=="}
    with pytest.raises(Fault):
        generators.binding("RoleBinding", "x", ("Role", "r"), [], [], ["no-colon"])


def test_selectors_of_workloads() -> None:
    spec = {
        "selector": {
            "matchLabels": {"a": "b"},
            "matchExpressions": [{"key": "k", "operator": "In", "values": ["x", "y"]}],
        }
    }
    assert object_selector(resources.DEPLOYMENTS, {"metadata": {"name": "n"}, "spec": spec}) == "a=b,k in (x,y)"
    with pytest.raises(Fault, match="no selector"):
        object_selector(resources.SERVICES, {"metadata": {"name": "n"}, "spec": {}})


def test_pod_specs_are_found_where_they_are() -> None:
    assert pod_spec(resources.PODS, {"spec": {"a": 1}}) == ("spec", {"a": 1})
    template = {"spec": {"template": {"spec": {"a": 1}}}}
    assert pod_spec(resources.DEPLOYMENTS, template) == ("spec.template.spec", {"a": 1})
    with pytest.raises(Fault):
        pod_spec(resources.SERVICES, {"spec": {}})
