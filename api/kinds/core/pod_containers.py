"""The models of core.pod_containers."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from api.kinds.base import ATOMIC, PORT, REQUIRED, SET, Int32, MergeKey, Model, OneOf
from api.kinds.core.probes import Lifecycle, Probe
from api.kinds.core.references import (
    ConfigMapKeySelector,
    FileKeySelector,
    ObjectFieldSelector,
    ResourceFieldSelector,
    SecretKeySelector,
)
from api.kinds.core.resources import ContainerResizePolicy, ResourceRequirements
from api.kinds.core.security import SecurityContext


def pull_policy(image: str | None) -> str:
    """The default pull policy of an image reference: `Always` for `:latest` or no tag, else `IfNotPresent`."""
    name, _, digest = (image or "").partition("@")
    _, colon, tag = name.rpartition("/")[2].partition(":")
    if not image or (digest and not colon):
        return "IfNotPresent"
    return "Always" if (tag or "latest") == "latest" else "IfNotPresent"


class ContainerPort(Model):
    """Container Port."""

    containerPort: Annotated[Int32 | None, REQUIRED, PORT] = None
    hostIP: str | None = None
    hostPort: Annotated[Int32 | None, PORT] = None
    name: str | None = None
    protocol: Annotated[str, OneOf("TCP", "UDP", "SCTP")] = "TCP"


class EnvVarSource(Model):
    """Env Var Source."""

    configMapKeyRef: ConfigMapKeySelector | None = None
    fieldRef: ObjectFieldSelector | None = None
    fileKeyRef: FileKeySelector | None = None
    resourceFieldRef: ResourceFieldSelector | None = None
    secretKeyRef: SecretKeySelector | None = None


class EnvVar(Model):
    """Env Var."""

    name: Annotated[str | None, REQUIRED] = None
    value: str | None = None
    valueFrom: EnvVarSource | None = None


class ConfigMapEnvSource(Model):
    """Config Map Env Source."""

    name: str | None = None
    optional: bool | None = None


class SecretEnvSource(Model):
    """Secret Env Source."""

    name: str | None = None
    optional: bool | None = None


class EnvFromSource(Model):
    """Env From Source."""

    configMapRef: ConfigMapEnvSource | None = None
    prefix: str | None = None
    secretRef: SecretEnvSource | None = None


class VolumeMount(Model):
    """Volume Mount."""

    mountPath: Annotated[str | None, REQUIRED] = None
    mountPropagation: Annotated[str | None, OneOf("Bidirectional", "HostToContainer", "None")] = None
    name: Annotated[str | None, REQUIRED] = None
    readOnly: bool | None = None
    recursiveReadOnly: Annotated[str | None, OneOf("Disabled", "Enabled", "IfPossible")] = None
    subPath: str | None = None
    subPathExpr: str | None = None


class VolumeDevice(Model):
    """Volume Device."""

    devicePath: Annotated[str | None, REQUIRED] = None
    name: Annotated[str | None, REQUIRED] = None


class ContainerRestartRuleOnExitCodes(Model):
    """Container Restart Rule On Exit Codes."""

    operator: Annotated[str | None, REQUIRED] = None
    values: Annotated[list[Int32] | None, SET] = None


class ContainerRestartRule(Model):
    """Container Restart Rule."""

    action: Annotated[str | None, REQUIRED] = None
    exitCodes: ContainerRestartRuleOnExitCodes | None = None


class Container(Model):
    """Container."""

    args: Annotated[list[str] | None, ATOMIC] = None
    command: Annotated[list[str] | None, ATOMIC] = None
    env: Annotated[list[EnvVar] | None, MergeKey("name")] = None
    envFrom: Annotated[list[EnvFromSource] | None, ATOMIC] = None
    image: str | None = None
    imagePullPolicy: Annotated[str | None, OneOf("Always", "IfNotPresent", "Never")] = None
    lifecycle: Lifecycle | None = None
    livenessProbe: Probe | None = None
    name: Annotated[str | None, REQUIRED] = None
    ports: Annotated[list[ContainerPort] | None, MergeKey("containerPort", keys=("containerPort", "protocol"))] = None
    readinessProbe: Probe | None = None
    resizePolicy: Annotated[list[ContainerResizePolicy] | None, ATOMIC] = None
    resources: ResourceRequirements = Field(default_factory=ResourceRequirements)
    restartPolicy: str | None = None
    restartPolicyRules: Annotated[list[ContainerRestartRule] | None, ATOMIC] = None
    securityContext: SecurityContext | None = None
    startupProbe: Probe | None = None
    stdin: bool | None = None
    stdinOnce: bool | None = None
    terminationMessagePath: str = "/dev/termination-log"
    terminationMessagePolicy: Annotated[str, OneOf("File", "FallbackToLogsOnError")] = "File"
    tty: bool | None = None
    volumeDevices: Annotated[list[VolumeDevice] | None, MergeKey("devicePath")] = None
    volumeMounts: Annotated[list[VolumeMount] | None, MergeKey("mountPath")] = None
    workingDir: str | None = None

    @model_validator(mode="after")
    def _default(self) -> Self:
        if not self.imagePullPolicy:
            self.imagePullPolicy = pull_policy(self.image)
        return self


class EphemeralContainer(Model):
    """Ephemeral Container."""

    args: Annotated[list[str] | None, ATOMIC] = None
    command: Annotated[list[str] | None, ATOMIC] = None
    env: Annotated[list[EnvVar] | None, MergeKey("name")] = None
    envFrom: Annotated[list[EnvFromSource] | None, ATOMIC] = None
    image: str | None = None
    imagePullPolicy: Annotated[str | None, OneOf("Always", "IfNotPresent", "Never")] = None
    lifecycle: Lifecycle | None = None
    livenessProbe: Probe | None = None
    name: Annotated[str | None, REQUIRED] = None
    ports: Annotated[list[ContainerPort] | None, MergeKey("containerPort", keys=("containerPort", "protocol"))] = None
    readinessProbe: Probe | None = None
    resizePolicy: Annotated[list[ContainerResizePolicy] | None, ATOMIC] = None
    resources: ResourceRequirements = Field(default_factory=ResourceRequirements)
    restartPolicy: str | None = None
    restartPolicyRules: Annotated[list[ContainerRestartRule] | None, ATOMIC] = None
    securityContext: SecurityContext | None = None
    startupProbe: Probe | None = None
    stdin: bool | None = None
    stdinOnce: bool | None = None
    targetContainerName: str | None = None
    terminationMessagePath: str = "/dev/termination-log"
    terminationMessagePolicy: Annotated[str, OneOf("File", "FallbackToLogsOnError")] = "File"
    tty: bool | None = None
    volumeDevices: Annotated[list[VolumeDevice] | None, MergeKey("devicePath")] = None
    volumeMounts: Annotated[list[VolumeMount] | None, MergeKey("mountPath")] = None
    workingDir: str | None = None

    @model_validator(mode="after")
    def _default(self) -> Self:
        if not self.imagePullPolicy:
            self.imagePullPolicy = pull_policy(self.image)
        return self
