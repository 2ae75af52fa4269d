"""The rules of a pod's volumes."""

from api import quantity
from api.types import Object
from api.validation import containers, metadata, names
from api.validation.errors import Errors

_POD_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.labels",
    "metadata.annotations",
    "metadata.uid",
)
_SOURCES = (
    "secret",
    "configMap",
    "downwardAPI",
    "serviceAccountToken",
    "clusterTrustBundle",
    "podCertificate",
)


def volumes(spec: Object, errors: Errors, path: str) -> None:
    """Every volume: a name of its own and one source that is well formed."""
    taken: set[str] = set()
    for index, each in enumerate(spec.get("volumes") or ()):
        here = f"{path}.volumes[{index}]"
        name = each.get("name")
        if name:
            errors.each(f"{here}.name", name, names.dns_label(name))
            if name in taken:
                errors.duplicate(f"{here}.name", name)
            taken.add(name)
        sources = [field for field, value in each.items() if field != "name" and value is not None]
        if not sources:
            errors.required(here, "must specify a volume type")
        for extra in sources[1:]:
            errors.forbidden(f"{here}.{extra}", "may not specify more than 1 volume type")
        if sources:
            _source(sources[0], each[sources[0]], errors, f"{here}.{sources[0]}")


def _source(kind: str, source: Object, errors: Errors, path: str) -> None:
    if kind == "emptyDir":
        limit = source.get("sizeLimit")
        if limit is not None and quantity.parse(limit) < 0:
            errors.forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")
        medium = source.get("medium", "")
        if medium not in ("", "Memory", "HugePages") and not medium.startswith("HugePages-"):
            errors.unsupported(f"{path}.medium", medium, ("", "HugePages", "Memory"))
    elif kind == "hostPath":
        if ".." in (source.get("path") or "").split("/"):
            errors.invalid(f"{path}.path", source["path"], "must not contain '..'")
    elif kind == "secret":
        if not source.get("secretName"):
            errors.required(f"{path}.secretName")
        items(source, errors, path)
    elif kind == "configMap":
        if not source.get("name"):
            errors.required(f"{path}.name")
        items(source, errors, path)
    elif kind == "downwardAPI":
        _downward(source, errors, path)
    elif kind == "projected":
        _projected(source, errors, path)
    elif kind == "image":
        if not source.get("reference"):
            errors.required(f"{path}.reference")
    elif kind == "ephemeral":
        template = source.get("volumeClaimTemplate")
        if template is not None:
            claim_spec(template.get("spec") or {}, errors, f"{path}.volumeClaimTemplate.spec")
    elif kind == "nfs" and source.get("path") and not source["path"].startswith("/"):
        errors.invalid(f"{path}.path", source["path"], "must be an absolute path")


def items(source: Object, errors: Errors, path: str) -> None:
    """The keys of a ConfigMap or Secret and the files they become."""
    for index, item in enumerate(source.get("items") or ()):
        if item.get("path"):
            local_path(item["path"], errors, f"{path}.items[{index}].path")


def local_path(text: str, errors: Errors, path: str) -> None:
    """A file inside a volume: relative, and not out of it."""
    containers.relative_path(text, errors, path)
    if text.startswith("..") and not text.startswith("../"):
        errors.invalid(path, text, "must not start with '..'")


def _downward(source: Object, errors: Errors, path: str) -> None:
    for index, item in enumerate(source.get("items") or ()):
        here = f"{path}.items[{index}]"
        if item.get("path"):
            local_path(item["path"], errors, f"{here}.path")
        field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
        if field is not None and resource is not None:
            errors.invalid(here, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
        elif field is not None:
            containers.field_reference(field, _POD_FIELDS, errors, f"{here}.fieldRef")
        elif resource is None:
            errors.required(here, "one of fieldRef and resourceFieldRef is required")
        else:
            if not resource.get("containerName"):
                errors.required(f"{here}.resourceFieldRef.containerName")
            containers.resource_reference(resource, errors, f"{here}.resourceFieldRef")


def _projected(source: Object, errors: Errors, path: str) -> None:
    taken: set[str] = set()
    for index, each in enumerate(source.get("sources") or ()):
        here = f"{path}.sources[{index}]"
        given = [kind for kind in _SOURCES if each.get(kind) is not None]
        if not given:
            errors.required(here, "must specify a volume type")
            continue
        for extra in given[1:]:
            errors.forbidden(f"{here}.{extra}", "may not specify more than 1 volume type")
        kind, found = given[0], each[given[0]]
        if kind in ("secret", "configMap"):
            if not found.get("name"):
                errors.required(f"{here}.{kind}.name")
            items(found, errors, f"{here}.{kind}")
        elif kind == "downwardAPI":
            _downward(found, errors, f"{here}.downwardAPI")
        paths = [item.get("path") for item in found.get("items") or ()] or [found.get("path")]
        for text in paths:
            if text and text in taken:
                errors.invalid(f"{here}.{kind}", text, "conflicting duplicate paths")
            elif text:
                taken.add(text)


def claim_spec(spec: Object, errors: Errors, path: str) -> None:
    """What a PersistentVolumeClaim asks for."""
    if not spec.get("accessModes"):
        errors.required(f"{path}.accessModes", "at least 1 access mode is required")
    modes = spec.get("accessModes") or ()
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        errors.forbidden(f"{path}.accessModes", "may not use ReadWriteOncePod with other access modes")
    wanted = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if wanted is None:
        errors.required(f"{path}.resources[storage]")
    elif quantity.parse(wanted) <= 0:
        errors.invalid(f"{path}.resources.requests[storage]", wanted, "must be greater than zero")
    for field in ("storageClassName", "volumeAttributesClassName"):
        if spec.get(field):
            errors.each(f"{path}.{field}", spec[field], names.dns_subdomain(spec[field]))
    metadata.labels((spec.get("selector") or {}).get("matchLabels"), errors, f"{path}.selector.matchLabels")
