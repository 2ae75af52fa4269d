"""The rules of pods: each row is one broken rule, by its path and in its words."""

from copy import deepcopy

import pytest

from api import resources as r
from api.types import Object
from tests.unit.api.objects import CONTAINER, changed, container, pod, said


class TestPods:
    @pytest.mark.parametrize(
        ("fields", "wanted"),
        [
            ({"name": "C"}, 'name: Invalid value: "C": a lowercase RFC 1123 label'),
            ({"image": ""}, "image: Required value"),
            ({"image": " i"}, 'image: Invalid value: " i": must not have leading or trailing whitespace'),
            (
                {"imagePullPolicy": "Sometimes"},
                'imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"',
            ),
            (
                {"ports": [{"containerPort": 0}]},
                "ports[0].containerPort: Invalid value: 0: must be between 1 and 65535, inclusive",
            ),
            ({"ports": [{}]}, "ports[0].containerPort: Required value"),
            (
                {"ports": [{"containerPort": 1, "name": "a--b"}]},
                'ports[0].name: Invalid value: "a--b": must not contain consecutive hyphens',
            ),
            (
                {"ports": [{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]},
                'ports[1].name: Duplicate value: "a"',
            ),
            ({"ports": [{"containerPort": 1, "protocol": "X"}]}, 'ports[0].protocol: Unsupported value: "X"'),
            ({"env": [{"name": ""}]}, "env[0].name: Required value"),
            ({"env": [{"name": "a=b"}]}, 'env[0].name: Invalid value: "a=b": a valid environment variable name'),
            ({"env": [{"name": "A", "valueFrom": {}}]}, 'env[0].valueFrom: Invalid value: "": must specify one of'),
            (
                {"env": [{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
                'env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
            ),
            (
                {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.x"}}}]},
                'env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "spec.x"',
            ),
            (
                {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}]},
                "env[0].valueFrom.secretKeyRef.key: Required value",
            ),
            ({"envFrom": [{}]}, 'envFrom[0]: Invalid value: "": must specify one of: `configMapRef` or `secretRef`'),
            ({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}, 'volumeMounts[0].name: Not found: "v"'),
            ({"livenessProbe": {}}, "livenessProbe: Required value: must specify a handler type"),
            (
                {"livenessProbe": {"exec": {"command": ["a"]}, "tcpSocket": {"port": 1}}},
                "livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
            ),
            (
                {"livenessProbe": {"exec": {"command": ["a"]}, "successThreshold": 2}},
                "livenessProbe.successThreshold: Invalid value: 2: must be 1",
            ),
            ({"readinessProbe": {"exec": {}}}, "readinessProbe.exec.command: Required value"),
            (
                {"readinessProbe": {"tcpSocket": {"port": 0}}},
                "readinessProbe.tcpSocket.port: Invalid value: 0: must be between 1 and 65535",
            ),
            (
                {"readinessProbe": {"tcpSocket": {"port": 1}, "periodSeconds": 0}},
                "readinessProbe.periodSeconds: Invalid value: 0: must be greater than 0",
            ),
            ({"lifecycle": {"preStop": {}}}, "lifecycle.preStop: Required value: must specify a handler type"),
            (
                {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
                'resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
            ),
            (
                {"resources": {"limits": {"cpu": "-1"}}},
                'resources.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0',
            ),
            (
                {"resources": {"limits": {"gpu": "1"}}},
                'resources.limits[gpu]: Invalid value: "gpu": must be a standard resource',
            ),
            (
                {"securityContext": {"runAsUser": -1}},
                "securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
            ),
            (
                {"securityContext": {"privileged": True, "allowPrivilegeEscalation": False}},
                "securityContext: Invalid value",
            ),
        ],
    )
    def test_containers(self, fields: Object, wanted: str) -> None:
        found = said(r.PODS, spec={"containers": [container(**fields)]})
        assert any(each.startswith(f"spec.containers[0].{wanted}") for each in found), found

    @pytest.mark.parametrize(
        ("spec", "wanted"),
        [
            ({"containers": []}, "spec.containers: Required value"),
            ({"containers": [CONTAINER, CONTAINER]}, 'spec.containers[1].name: Duplicate value: "c"'),
            ({"initContainers": [CONTAINER]}, 'spec.initContainers[0].name: Duplicate value: "c"'),
            (
                {"initContainers": [container(name="i", livenessProbe={"tcpSocket": {"port": 1}})]},
                "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers",
            ),
            (
                {"ephemeralContainers": [container(name="e")]},
                "spec.ephemeralContainers: Forbidden: cannot be set on create",
            ),
            (
                {"restartPolicy": "Maybe"},
                'spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "Never", "OnFailure"',
            ),
            (
                {"dnsPolicy": "None"},
                "spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver",
            ),
            (
                {"terminationGracePeriodSeconds": -1},
                "spec.terminationGracePeriodSeconds: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                {"activeDeadlineSeconds": 0},
                "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
            ),
            ({"nodeName": "A"}, 'spec.nodeName: Invalid value: "A"'),
            ({"nodeSelector": {"a b": "c"}}, 'spec.nodeSelector: Invalid value: "a b"'),
            ({"hostname": "a.b"}, 'spec.hostname: Invalid value: "a.b"'),
            ({"volumes": [{"name": "V"}]}, 'spec.volumes[0].name: Invalid value: "V"'),
            ({"volumes": [{"name": "v"}, {"name": "v"}]}, 'spec.volumes[1].name: Duplicate value: "v"'),
            (
                {"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]},
                "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
            ),
            ({"volumes": [{"name": "v", "hostPath": {}}]}, "spec.volumes[0].hostPath.path: Required value"),
            (
                {"volumes": [{"name": "v", "hostPath": {"path": "/", "type": "X"}}]},
                'spec.volumes[0].hostPath.type: Unsupported value: "X"',
            ),
            ({"volumes": [{"name": "v", "configMap": {}}]}, "spec.volumes[0].configMap.name: Required value"),
            (
                {"volumes": [{"name": "v", "secret": {"secretName": "s", "items": [{"key": "k", "path": "/a"}]}}]},
                'spec.volumes[0].secret.items[0].path: Invalid value: "/a": must be a relative path',
            ),
            (
                {"volumes": [{"name": "v", "secret": {"secretName": "s", "defaultMode": 512}}]},
                "spec.volumes[0].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal)",
            ),
            (
                {"volumes": [{"name": "v", "persistentVolumeClaim": {}}]},
                "spec.volumes[0].persistentVolumeClaim.claimName: Required value",
            ),
            (
                {"volumes": [{"name": "v", "projected": {"sources": [{}]}}]},
                "spec.volumes[0].projected.sources[0]: Required value",
            ),
            (
                {"volumes": [{"name": "v", "downwardAPI": {"items": [{"path": "a"}]}}]},
                "spec.volumes[0].downwardAPI.items[0]: Required value",
            ),
            (
                {"tolerations": [{"operator": "Equal", "value": "x"}]},
                'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty',
            ),
            (
                {"tolerations": [{"key": "a", "operator": "Exists", "value": "x"}]},
                "spec.tolerations[0].operator: Invalid value",
            ),
            (
                {"tolerations": [{"key": "a", "tolerationSeconds": 1}]},
                "spec.tolerations[0].effect: Invalid value: \"\": effect must be 'NoExecute'",
            ),
            (
                {
                    "affinity": {
                        "nodeAffinity": {
                            "requiredDuringSchedulingIgnoredDuringExecution": {
                                "nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In"}]}]
                            }
                        }
                    }
                },
                "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]"
                ".matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
            ),
            (
                {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{}]}}},
                "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value",
            ),
            (
                {
                    "topologySpreadConstraints": [
                        {"maxSkew": 0, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}
                    ]
                },
                "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than 0",
            ),
            (
                {"hostPID": True, "shareProcessNamespace": True},
                "spec.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled",
            ),
            ({"hostAliases": [{"ip": "x"}]}, 'spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP address'),
            (
                {"schedulingGates": [{"name": "g"}], "nodeName": "n"},
                "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared",
            ),
        ],
    )
    def test_specs(self, spec: Object, wanted: str) -> None:
        found = said(r.PODS, spec={"containers": [CONTAINER], **spec})
        assert any(each.startswith(wanted) for each in found), found

    def test_all_errors_come_at_once(self) -> None:
        found = said(
            r.PODS, metadata={"name": "X"}, spec={"restartPolicy": "X", "containers": [container(image="", name="")]}
        )
        assert len(found) == 4

    def test_images_tolerations_and_a_sooner_deadline_may_change(self) -> None:
        old = pod(activeDeadlineSeconds=10)
        new = deepcopy(old)
        new["spec"]["containers"][0]["image"] = "i:2"
        new["spec"]["tolerations"] = [{"key": "a", "operator": "Exists"}]
        new["spec"]["activeDeadlineSeconds"] = 5
        assert changed(r.PODS, old, new) == []

    @pytest.mark.parametrize(
        ("field", "value"),
        [("nodeName", "n"), ("restartPolicy", "Never"), ("hostname", "h"), ("serviceAccountName", "s")],
    )
    def test_other_fields_may_not(self, field: str, value: str) -> None:
        old = pod()
        new = deepcopy(old)
        new["spec"][field] = value
        (found,) = changed(r.PODS, old, new)
        assert found.startswith("spec: Forbidden: pod updates may not change fields other than")

    def test_containers_may_not_come_or_go(self) -> None:
        (found,) = changed(r.PODS, pod(), pod(CONTAINER, container(name="d")))
        assert found == "spec.containers: Forbidden: pod updates may not add or remove containers"

    def test_tolerations_and_deadlines_may_not_be_loosened(self) -> None:
        old = pod(tolerations=[{"key": "a", "operator": "Exists"}], activeDeadlineSeconds=5)
        found = changed(r.PODS, old, pod(activeDeadlineSeconds=6))
        assert any(each.startswith("spec.tolerations: Forbidden") for each in found)
        assert any("must be less than or equal to previous value 5" in each for each in found)

    def test_gates_may_go_but_not_come(self) -> None:
        gated = pod(schedulingGates=[{"name": "a"}])
        assert changed(r.PODS, gated, pod()) == []
        assert changed(r.PODS, pod(), gated)[0].startswith("spec.schedulingGates: Forbidden: only deletion is allowed")

    def test_ephemeral_containers_are_added_through_their_subresource(self) -> None:
        old, new = pod(), pod()
        new["spec"]["ephemeralContainers"] = [container(name="e")]
        assert changed(r.PODS, old, new, "ephemeralcontainers") == []
        assert "may not be removed" in changed(r.PODS, new, old, "ephemeralcontainers")[0]

    def test_resize_changes_cpu_and_memory_alone(self) -> None:
        small = pod(container(resources={"requests": {"cpu": "1"}}))
        large = pod(container(resources={"requests": {"cpu": "2"}}))
        assert changed(r.PODS, small, large, "resize") == []
        other = deepcopy(large)
        other["spec"]["containers"][0]["image"] = "i:2"
        assert changed(r.PODS, small, other, "resize") == ["spec: Forbidden: only cpu and memory resources are mutable"]

    def test_a_status_update_is_not_about_the_spec(self) -> None:
        assert changed(r.PODS, pod(), pod(restartPolicy="Never"), "status") == []
