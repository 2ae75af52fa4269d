"""References to objects, to their keys and to their fields."""

from typing import Annotated

from api.kinds.base import REQUIRED, Bounds, Int32, Model, Quantity


class LocalObjectReference(Model):
    """An object of the same namespace by its name."""

    ATOMIC_MAP = True

    name: str | None = None


class ObjectReference(Model):
    """An object, or a part of one, anywhere."""

    ATOMIC_MAP = True

    apiVersion: str | None = None
    fieldPath: str | None = None
    kind: str | None = None
    name: str | None = None
    namespace: str | None = None
    resourceVersion: str | None = None
    uid: str | None = None


class TypedLocalObjectReference(Model):
    """An object of the same namespace by its kind and name."""

    ATOMIC_MAP = True

    apiGroup: str | None = None
    kind: Annotated[str | None, REQUIRED] = None
    name: Annotated[str | None, REQUIRED] = None


class TypedObjectReference(Model):
    """An object by its kind, name and namespace."""

    apiGroup: str | None = None
    kind: Annotated[str | None, REQUIRED] = None
    name: Annotated[str | None, REQUIRED] = None
    namespace: str | None = None


class SecretReference(Model):
    """A Secret by its name and namespace."""

    ATOMIC_MAP = True

    name: str | None = None
    namespace: str | None = None


class ObjectFieldSelector(Model):
    """A field of the pod itself."""

    ATOMIC_MAP = True

    apiVersion: str = "v1"
    fieldPath: Annotated[str | None, REQUIRED] = None


class ResourceFieldSelector(Model):
    """A request or limit of a container."""

    ATOMIC_MAP = True

    containerName: str | None = None
    divisor: Quantity | None = None
    resource: Annotated[str | None, REQUIRED] = None


class ConfigMapKeySelector(Model):
    """One key of a ConfigMap."""

    ATOMIC_MAP = True

    key: Annotated[str | None, REQUIRED] = None
    name: str | None = None
    optional: bool | None = None


class SecretKeySelector(Model):
    """One key of a Secret."""

    ATOMIC_MAP = True

    key: Annotated[str | None, REQUIRED] = None
    name: str | None = None
    optional: bool | None = None


class FileKeySelector(Model):
    """One key of a file in a volume."""

    ATOMIC_MAP = True

    key: Annotated[str | None, REQUIRED] = None
    optional: bool | None = None
    path: Annotated[str | None, REQUIRED] = None
    volumeName: Annotated[str | None, REQUIRED] = None


class KeyToPath(Model):
    """A key and the file it becomes."""

    key: Annotated[str | None, REQUIRED] = None
    mode: Annotated[Int32 | None, Bounds(0, 511)] = None
    path: Annotated[str | None, REQUIRED] = None
