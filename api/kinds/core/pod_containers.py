"""Containers and their environment, ports and mounts."""

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
    """A port on which a container listens."""

    containerPort: Annotated[Int32 | None, REQUIRED, PORT] = None
    hostIP: str | None = None
    hostPort: Annotated[Int32 | None, PORT] = None
    name: str | None = None
    protocol: Annotated[str, OneOf("TCP", "UDP", "SCTP")] = "TCP"


class EnvVarSource(Model):
    """Where the value of an environment variable comes from."""

    configMapKeyRef: ConfigMapKeySelector | None = None
    fieldRef: ObjectFieldSelector | None = None
    fileKeyRef: FileKeySelector | None = None
    resourceFieldRef: ResourceFieldSelector | None = None
    secretKeyRef: SecretKeySelector | None = None


class EnvVar(Model):
    """One environment variable."""

    name: Annotated[str | None, REQUIRED] = None
    value: str | None = None
    valueFrom: EnvVarSource | None = None


class ConfigMapEnvSource(Model):
    """All keys of a ConfigMap as environment variables."""

    name: str | None = None
    optional: bool | None = None


class SecretEnvSource(Model):
    """All keys of a Secret as environment variables."""

    name: str | None = None
    optional: bool | None = None


class EnvFromSource(Model):
    """A set of environment variables from one source."""

    configMapRef: ConfigMapEnvSource | None = None
    prefix: str | None = None
    secretRef: SecretEnvSource | None = None


class VolumeMount(Model):
    """Where a container sees a volume."""

    mountPath: Annotated[str | None, REQUIRED] = None
    mountPropagation: Annotated[str | None, OneOf("Bidirectional", "HostToContainer", "None")] = None
    name: Annotated[str | None, REQUIRED] = None
    readOnly: bool | None = None
    recursiveReadOnly: Annotated[str | None, OneOf("Disabled", "Enabled", "IfPossible")] = None
    subPath: str | None = None
    subPathExpr: str | None = None


class VolumeDevice(Model):
    """Where a container sees a raw block volume."""

    devicePath: Annotated[str | None, REQUIRED] = None
    name: Annotated[str | None, REQUIRED] = None


class ContainerRestartRuleOnExitCodes(Model):
    """The exit codes to which a restart rule applies."""

    operator: Annotated[str | None, REQUIRED] = None
    values: Annotated[list[Int32] | None, SET] = None


class ContainerRestartRule(Model):
    """What happens when a container ends in a certain way."""

    action: Annotated[str | None, REQUIRED] = None
    exitCodes: ContainerRestartRuleOnExitCodes | None = None


class Container(Model):
    """One container of a pod."""

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
    """A container added to a running pod to look into it."""

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
