"""PodSecurity: namespaces say by label how much their pods may do. Source: Kubernetes, "Pod Security Admission"."""

from api import errors
from api.resources import NAMESPACES, PODS
from api.types import Object
from apiserver.admission.pod_security_checks import LEVELS, Finding, findings
from apiserver.admission.podspec import template_of
from apiserver.auth.lookup import Lookup
from apiserver.plugins import AdmissionRequest

PREFIX = "pod-security.kubernetes.io/"
_SUBRESOURCES = ("", "ephemeralcontainers", "resize")


def level_of(labels: dict[str, str], mode: str) -> tuple[str, str]:
    """Return (level, version) of enforce, audit or warn. A value that is no level counts as restricted, as Kubernetes does."""
    level = labels.get(f"{PREFIX}{mode}", "privileged")
    if level not in LEVELS:
        level = "restricted"
    return level, labels.get(f"{PREFIX}{mode}-version", "latest")


def sentence(level: str, version: str, found: list[Finding]) -> str:
    """Return `violates PodSecurity "restricted:latest": reason (detail), ...`."""
    said = ", ".join(f"{reason} ({detail})" for reason, detail in found)
    return f'violates PodSecurity "{level}:{version}": {said}'


class PodSecurity:
    """Promises: a pod that breaks the namespace's `enforce` level is Forbidden with every finding; `warn` gives a Warning for
    pods and for workloads that would make such pods; `audit` goes into the audit log; levels are checked on changes of the
    spec only, and a namespace's stricter labels warn of the pods already there."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def __call__(self, request: AdmissionRequest) -> None:
        """Check one write."""
        obj = request.object
        if obj is None or request.operation not in ("CREATE", "UPDATE"):
            return
        if request.resource is NAMESPACES:
            if request.operation == "UPDATE" and not request.subresource:
                self._namespace(request, obj)
            return
        parts = template_of(request.resource, obj) if request.namespace else None
        if parts is None or request.subresource not in (_SUBRESOURCES if request.resource is PODS else ("",)):
            return
        if request.operation == "UPDATE" and request.old and not _spec_changed(request, parts):
            return
        namespace = self._lookup.get(NAMESPACES, "", request.namespace)
        labels = (namespace or {}).get("metadata", {}).get("labels") or {}
        if any(key.startswith(PREFIX) for key in labels):
            self._check(request, labels, *parts)

    def _check(self, request: AdmissionRequest, labels: dict[str, str], meta: Object, spec: Object) -> None:
        level, version = level_of(labels, "enforce")
        enforced = findings(level, meta, spec) if request.resource is PODS else []
        if enforced:
            raise errors.forbidden(request.resource, request.name, sentence(level, version, enforced))
        level, version = level_of(labels, "warn")
        if warned := findings(level, meta, spec):
            request.warnings.append(f"would {_as_condition(sentence(level, version, warned))}")
        level, version = level_of(labels, "audit")
        if noted := findings(level, meta, spec):
            request.annotations[f"{PREFIX}audit-violations"] = f"would {_as_condition(sentence(level, version, noted))}"

    def _namespace(self, request: AdmissionRequest, namespace: Object) -> None:
        old = ((request.old or {}).get("metadata") or {}).get("labels") or {}
        level, version = level_of(namespace["metadata"].get("labels") or {}, "enforce")
        if (level, version) == level_of(old, "enforce") or level == "privileged":
            return
        broken: dict[str, list[str]] = {}
        for pod in self._lookup.list(PODS, request.name):
            if found := findings(level, pod["metadata"], pod["spec"]):
                reasons = ", ".join(reason for reason, _ in found)
                broken.setdefault(reasons, []).append(pod["metadata"]["name"])
        if broken:
            request.warnings.append(
                f'existing pods in namespace "{request.name}" violate the new PodSecurity enforce level "{level}:{version}"'
            )
            for reasons, names in sorted(broken.items(), key=lambda item: sorted(item[1])):
                first, others = sorted(names)[0], len(names) - 1
                tail = f" (and {others} other pod{'s' if others > 1 else ''})" if others else ""
                request.warnings.append(f"{first}{tail}: {reasons}")


def _as_condition(text: str) -> str:
    return text.replace("violates", "violate", 1)


def _spec_changed(request: AdmissionRequest, parts: tuple[Object, Object]) -> bool:
    old = template_of(request.resource, request.old or {})
    if old is None or old[1] != parts[1]:
        return True
    return (old[0].get("annotations") or {}) != (parts[0].get("annotations") or {})
