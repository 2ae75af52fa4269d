"""What `kubectl explain` says: one sentence per kind and per field that people ask about.

A model's sentence is its docstring. Fields are looked up as `Model.field`, then under the models they are shared with,
then by the field's name alone.
"""

from api.kinds.base import Model
from api.kinds.explained import FIELDS, SHARED

_LIKE = {
    "EphemeralContainer": "Container",
    "SecretProjection": "SecretVolumeSource",
    "ConfigMapProjection": "ConfigMapVolumeSource",
    "DownwardAPIProjection": "DownwardAPIVolumeSource",
    "LifecycleHandler": "Probe",
    "ReplicationControllerSpec": "ReplicaSetSpec",
    "ReplicaSetStatus": "DeploymentStatus",
    "ReplicationControllerStatus": "DeploymentStatus",
    "StatefulSetSpec": "DeploymentSpec",
    "DaemonSetSpec": "DeploymentSpec",
}
"""Models whose fields mean what the other's fields of the same name mean."""


def of(name: str) -> str:
    """The sentence for a definition or field by its full name; empty if there is none."""
    return FIELDS.get(name, "")


def of_model(model: type[Model]) -> str:
    """The sentence for a model."""
    return " ".join((model.__doc__ or "").split())


def of_field(model: type[Model], field: str) -> str:
    """The sentence for a field; empty if there is none."""
    names = [parent.__name__ for parent in model.__mro__]
    for name in (*names, _LIKE.get(names[0], "")):
        found = FIELDS.get(f"{name}.{field}")
        if found:
            return found
    return SHARED.get(field, "")
