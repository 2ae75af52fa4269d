"""Users, privileges and profiles of pods and containers."""

from typing import Annotated

from api.kinds.base import ATOMIC, LISTED, REQUIRED, Int64, Model, OneOf


class SELinuxOptions(Model):
    """The SELinux label of a container."""

    level: str | None = None
    role: str | None = None
    type: str | None = None
    user: str | None = None


class SeccompProfile(Model):
    """The system calls that a container may make."""

    localhostProfile: str | None = None
    type: Annotated[str | None, REQUIRED, OneOf("Localhost", "RuntimeDefault", "Unconfined")] = None


class AppArmorProfile(Model):
    """The AppArmor profile of a container."""

    localhostProfile: str | None = None
    type: Annotated[str | None, REQUIRED, OneOf("Localhost", "RuntimeDefault", "Unconfined")] = None


class Capabilities(Model):
    """Linux capabilities that a container gains or loses."""

    add: Annotated[list[str] | None, ATOMIC] = None
    drop: Annotated[list[str] | None, ATOMIC] = None


class WindowsSecurityContextOptions(Model):
    """Security settings that Windows has."""

    gmsaCredentialSpec: str | None = None
    gmsaCredentialSpecName: str | None = None
    hostProcess: bool | None = None
    runAsUserName: str | None = None


class SecurityContext(Model):
    """As whom and with which privileges a container runs."""

    allowPrivilegeEscalation: bool | None = None
    appArmorProfile: AppArmorProfile | None = None
    capabilities: Capabilities | None = None
    privileged: bool | None = None
    procMount: Annotated[str | None, OneOf("Default", "Unmasked")] = None
    readOnlyRootFilesystem: bool | None = None
    runAsGroup: Int64 | None = None
    runAsNonRoot: bool | None = None
    runAsUser: Int64 | None = None
    seLinuxOptions: SELinuxOptions | None = None
    seccompProfile: SeccompProfile | None = None
    windowsOptions: WindowsSecurityContextOptions | None = None


class Sysctl(Model):
    """A kernel setting of a pod."""

    name: Annotated[str | None, REQUIRED] = None
    value: Annotated[str, LISTED] = ""


class PodSecurityContext(Model):
    """As whom and with which privileges all containers of a pod run."""

    appArmorProfile: AppArmorProfile | None = None
    fsGroup: Int64 | None = None
    fsGroupChangePolicy: Annotated[str | None, OneOf("Always", "OnRootMismatch")] = None
    runAsGroup: Int64 | None = None
    runAsNonRoot: bool | None = None
    runAsUser: Int64 | None = None
    seLinuxChangePolicy: str | None = None
    seLinuxOptions: SELinuxOptions | None = None
    seccompProfile: SeccompProfile | None = None
    supplementalGroups: Annotated[list[Int64] | None, ATOMIC] = None
    supplementalGroupsPolicy: Annotated[str | None, OneOf("Merge", "Strict")] = None
    sysctls: Annotated[list[Sysctl] | None, ATOMIC] = None
    windowsOptions: WindowsSecurityContextOptions | None = None
