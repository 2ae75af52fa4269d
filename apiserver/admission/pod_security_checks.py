"""The checks of the Pod Security Standards, one function each, in the order of the published tables.

Source: Kubernetes, "Pod Security Standards" (v1.36). A check returns None when the pod passes, else (short reason, detail).
"""

from collections.abc import Callable, Iterator

from api.types import Object
from apiserver.admission.podspec import containers

Finding = tuple[str, str]
Check = Callable[[Object, Object], Finding | None]
"""Gets (metadata, spec) of a pod."""

_BASELINE_CAPABILITIES = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)
_SAFE_SYSCTLS = frozenset(
    [
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    ]
)
_SELINUX_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"})
_VOLUMES = frozenset(
    [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ]
)
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"


def _quoted(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _many(names: list[str], one: str = "container") -> str:
    return f"{one}{'s' if len(names) > 1 else ''} {_quoted(names)}"


def _context(owner: Object) -> Object:
    return owner.get("securityContext") or {}


def _contexts(spec: Object) -> Iterator[tuple[str, Object]]:
    """Yield (what it is, security context) of the pod and of each container."""
    yield "pod", _context(spec)
    for container in containers(spec):
        yield f'container "{container["name"]}"', _context(container)


def _bad_containers(spec: Object, is_bad: Callable[[Object], bool]) -> list[str]:
    return [container["name"] for container in containers(spec) if is_bad(container)]


def host_namespaces(meta: Object, spec: Object) -> Finding | None:
    """No network, process or IPC namespace of the node."""
    shared = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    return ("host namespaces", ", ".join(shared)) if shared else None


def privileged(meta: Object, spec: Object) -> Finding | None:
    """No privileged containers."""
    bad = _bad_containers(spec, lambda c: bool(_context(c).get("privileged")))
    return ("privileged", f"{_many(bad)} must not set securityContext.privileged=true") if bad else None


def capabilities_baseline(meta: Object, spec: Object) -> Finding | None:
    """No capability added beyond the runtime's defaults."""
    found: list[str] = []

    def adds(container: Object) -> bool:
        extra = [
            c
            for c in (_context(container).get("capabilities") or {}).get("add") or ()
            if c not in _BASELINE_CAPABILITIES
        ]
        found.extend(c for c in extra if c not in found)
        return bool(extra)

    bad = _bad_containers(spec, adds)
    detail = f"{_many(bad)} must not include {_quoted(sorted(found))} in securityContext.capabilities.add"
    return ("non-default capabilities", detail) if bad else None


def host_path_volumes(meta: Object, spec: Object) -> Finding | None:
    """No directory of the node."""
    bad = [volume["name"] for volume in spec.get("volumes") or () if volume.get("hostPath")]
    return ("hostPath volumes", _many(bad, "volume")) if bad else None


def host_ports(meta: Object, spec: Object) -> Finding | None:
    """No port of the node."""
    ports: list[str] = []

    def uses(container: Object) -> bool:
        own = [str(port["hostPort"]) for port in container.get("ports") or () if port.get("hostPort")]
        ports.extend(own)
        return bool(own)

    bad = _bad_containers(spec, uses)
    word = "hostPorts" if len(ports) > 1 else "hostPort"
    return (
        ("hostPort", f"{_many(bad)} {'use' if len(bad) > 1 else 'uses'} {word} {', '.join(sorted(set(ports)))}")
        if bad
        else None
    )


def host_probes(meta: Object, spec: Object) -> Finding | None:
    """No probe or hook that the kubelet sends to another host than the pod."""

    def elsewhere(container: Object) -> bool:
        handlers = [container.get(name) or {} for name in ("livenessProbe", "readinessProbe", "startupProbe")]
        handlers += [(container.get("lifecycle") or {}).get(name) or {} for name in ("postStart", "preStop")]
        return any((handler.get(kind) or {}).get("host") for handler in handlers for kind in ("httpGet", "tcpSocket"))

    bad = _bad_containers(spec, elsewhere)
    return (
        ("probe or lifecycle host", f"{_many(bad)} must not set host in a probe or lifecycle handler") if bad else None
    )


def apparmor(meta: Object, spec: Object) -> Finding | None:
    """The runtime's AppArmor profile or one of the node, not none."""
    annotations = meta.get("annotations") or {}
    profiles = {key: value for key, value in annotations.items() if key.startswith(_APPARMOR)}
    bad = [
        f'annotation "{key}={value}"'
        for key, value in profiles.items()
        if value not in ("", "runtime/default") and not value.startswith("localhost/")
    ]
    bad += [
        who for who, context in _contexts(spec) if (context.get("appArmorProfile") or {}).get("type") == "Unconfined"
    ]
    return ("forbidden AppArmor profile", ", ".join(bad)) if bad else None


def selinux(meta: Object, spec: Object) -> Finding | None:
    """SELinux types of containers only, and no user or role."""
    bad = []
    for who, context in _contexts(spec):
        options = context.get("seLinuxOptions") or {}
        if options.get("type", "") not in _SELINUX_TYPES or options.get("user") or options.get("role"):
            bad.append(who)
    return ("seLinuxOptions", f"{', '.join(bad)} set forbidden securityContext.seLinuxOptions") if bad else None


def proc_mount(meta: Object, spec: Object) -> Finding | None:
    """The masked /proc, unless the pod has a user namespace of its own."""
    bad = _bad_containers(spec, lambda c: _context(c).get("procMount") not in (None, "Default"))
    return ("procMount", f"{_many(bad)} must not set securityContext.procMount") if bad else None


def seccomp_baseline(meta: Object, spec: Object) -> Finding | None:
    """Seccomp not switched off."""
    bad = [who for who, context in _contexts(spec) if (context.get("seccompProfile") or {}).get("type") == "Unconfined"]
    return (
        ("seccompProfile", f'{", ".join(bad)} must not set securityContext.seccompProfile.type to "Unconfined"')
        if bad
        else None
    )


def sysctls(meta: Object, spec: Object) -> Finding | None:
    """Sysctls of the pod's own namespaces only."""
    bad = [entry["name"] for entry in _context(spec).get("sysctls") or () if entry["name"] not in _SAFE_SYSCTLS]
    return ("forbidden sysctls", ", ".join(bad)) if bad else None


def host_process(meta: Object, spec: Object) -> Finding | None:
    """No Windows host processes."""
    bad = [who for who, context in _contexts(spec) if (context.get("windowsOptions") or {}).get("hostProcess")]
    return (
        ("hostProcess", f"{', '.join(bad)} must not set securityContext.windowsOptions.hostProcess=true")
        if bad
        else None
    )


def volume_types(meta: Object, spec: Object) -> Finding | None:
    """Volumes of the API's own kinds only."""
    bad, kinds = [], set()
    for volume in spec.get("volumes") or ():
        wrong = {key for key in volume if key != "name"} - _VOLUMES
        if wrong:
            bad.append(volume["name"])
            kinds |= wrong
    word = "restricted volume type" + ("s" if len(kinds) > 1 else "")
    return (
        (
            "restricted volume types",
            f"{_many(bad, 'volume')} use{'' if len(bad) > 1 else 's'} {word} {_quoted(sorted(kinds))}",
        )
        if bad
        else None
    )


def privilege_escalation(meta: Object, spec: Object) -> Finding | None:
    """no_new_privs on every container."""
    bad = _bad_containers(spec, lambda c: _context(c).get("allowPrivilegeEscalation") is not False)
    detail = f"{_many(bad)} must set securityContext.allowPrivilegeEscalation=false"
    return ("allowPrivilegeEscalation != false", detail) if bad else None


def capabilities_restricted(meta: Object, spec: Object) -> Finding | None:
    """All capabilities dropped; none but NET_BIND_SERVICE added."""

    def drops_not(container: Object) -> bool:
        return "ALL" not in ((_context(container).get("capabilities") or {}).get("drop") or ())

    def adds(container: Object) -> bool:
        return any(c != "NET_BIND_SERVICE" for c in (_context(container).get("capabilities") or {}).get("add") or ())

    said = []
    if bad := _bad_containers(spec, drops_not):
        said.append(f'{_many(bad)} must set securityContext.capabilities.drop=["ALL"]')
    if bad := _bad_containers(spec, adds):
        said.append(
            f'{_many(bad)} must not include anything but "NET_BIND_SERVICE" in securityContext.capabilities.add'
        )
    return ("unrestricted capabilities", "; ".join(said)) if said else None


def run_as_non_root(meta: Object, spec: Object) -> Finding | None:
    """runAsNonRoot on the pod or on every container."""
    said = []
    whole = _context(spec).get("runAsNonRoot")
    explicit = _bad_containers(spec, lambda c: _context(c).get("runAsNonRoot") is False)
    implicit = _bad_containers(spec, lambda c: _context(c).get("runAsNonRoot") is None) if not whole else []
    if explicit:
        said.append(f"{_many(explicit)} must not set securityContext.runAsNonRoot=false")
    elif implicit:
        said.append(f"pod or {_many(implicit)} must set securityContext.runAsNonRoot=true")
    return ("runAsNonRoot != true", "; ".join(said)) if said else None


def run_as_user(meta: Object, spec: Object) -> Finding | None:
    """Not user 0."""
    bad = [who for who, context in _contexts(spec) if context.get("runAsUser") == 0]
    return ("runAsUser=0", f"{', '.join(bad)} must not set runAsUser=0") if bad else None


def seccomp_restricted(meta: Object, spec: Object) -> Finding | None:
    """A seccomp profile on the pod or on every container."""
    good = ("RuntimeDefault", "Localhost")
    whole = (_context(spec).get("seccompProfile") or {}).get("type")

    def bad_one(container: Object) -> bool:
        kind = (_context(container).get("seccompProfile") or {}).get("type")
        return kind not in good if kind else whole not in good

    bad = _bad_containers(spec, bad_one)
    detail = f'pod or {_many(bad)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return ("seccompProfile", detail) if bad else None


BASELINE: tuple[Check, ...] = (
    host_namespaces,
    privileged,
    capabilities_baseline,
    host_path_volumes,
    host_ports,
    host_probes,
    apparmor,
    selinux,
    proc_mount,
    seccomp_baseline,
    sysctls,
    host_process,
)
RESTRICTED: tuple[Check, ...] = (
    *(check for check in BASELINE if check not in (capabilities_baseline, seccomp_baseline)),
    volume_types,
    privilege_escalation,
    capabilities_restricted,
    run_as_non_root,
    run_as_user,
    seccomp_restricted,
)
LEVELS: dict[str, tuple[Check, ...]] = {"privileged": (), "baseline": BASELINE, "restricted": RESTRICTED}


def findings(level: str, meta: Object, spec: Object) -> list[Finding]:
    """Return what a pod breaks of a level, in the level's order."""
    return [found for check in LEVELS[level] if (found := check(meta, spec))]
