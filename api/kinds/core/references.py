"""The models of core.references."""

from typing import Annotated

from api.kinds.base import REQUIRED, Bounds, Int32, Model, Quantity


class LocalObjectReference(Model):
    """A reference: Local Object."""

    ATOMIC = True

    name: str | None = None


class ObjectReference(Model):
    """A reference: Object."""

    ATOMIC = True

    apiVersion: str | None = None
    fieldPath: str | None = None
    kind: str | None = None
    name: str | None = None
    namespace: str | None = None
    resourceVersion: str | None = None
    uid: str | None = None


class TypedLocalObjectReference(Model):
    """A reference: Typed Local Object."""

    ATOMIC = True

    apiGroup: str | None = None
    kind: str | None = None
    name: Annotated[str | None, REQUIRED] = None


class TypedObjectReference(Model):
    """A reference: Typed Object."""

    apiGroup: str | None = None
    kind: str | None = None
    name: Annotated[str | None, REQUIRED] = None
    namespace: str | None = None


class SecretReference(Model):
    """A reference: Secret."""

    ATOMIC = True

    name: str | None = None
    namespace: str | None = None


class ObjectFieldSelector(Model):
    """Object Field Selector."""

    ATOMIC = True

    apiVersion: str = "v1"
    fieldPath: Annotated[str | None, REQUIRED] = None


class ResourceFieldSelector(Model):
    """Resource Field Selector."""

    ATOMIC = True

    containerName: str | None = None
    divisor: Quantity | None = None
    resource: Annotated[str | None, REQUIRED] = None


class ConfigMapKeySelector(Model):
    """Config Map Key Selector."""

    ATOMIC = True

    key: Annotated[str | None, REQUIRED] = None
    name: str | None = None
    optional: bool | None = None


class SecretKeySelector(Model):
    """Secret Key Selector."""

    ATOMIC = True

    key: Annotated[str | None, REQUIRED] = None
    name: str | None = None
    optional: bool | None = None


class FileKeySelector(Model):
    """File Key Selector."""

    ATOMIC = True

    key: Annotated[str | None, REQUIRED] = None
    optional: bool | None = None
    path: Annotated[str | None, REQUIRED] = None
    volumeName: Annotated[str | None, REQUIRED] = None


class KeyToPath(Model):
    """Key To Path."""

    key: Annotated[str | None, REQUIRED] = None
    mode: Annotated[Int32 | None, Bounds(0, 511)] = None
    path: Annotated[str | None, REQUIRED] = None
