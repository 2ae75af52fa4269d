"""What all kinds share: metadata, selectors, Status and options."""

from typing import Annotated

from pydantic import Field

from api.kinds.base import ATOMIC, LISTED, REQUIRED, Int32, Int64, JsonObject, ListSet, MergeKey, Model, Time


class Condition(Model):
    """One condition of an object."""

    lastTransitionTime: Annotated[Time | None, LISTED] = None
    message: Annotated[str, LISTED] = ""
    observedGeneration: Int64 | None = None
    reason: Annotated[str, LISTED] = ""
    status: Annotated[str, LISTED] = ""
    type: Annotated[str, LISTED] = ""


class Preconditions(Model):
    """What must hold for an operation to be carried out."""

    resourceVersion: str | None = None
    uid: str | None = None


class DeleteOptions(Model):
    """How an object is deleted."""

    apiVersion: str | None = None
    dryRun: Annotated[list[str] | None, ATOMIC] = None
    gracePeriodSeconds: Int64 | None = None
    ignoreStoreReadErrorWithClusterBreakingPotential: bool | None = None
    kind: str | None = None
    orphanDependents: bool | None = None
    preconditions: Preconditions | None = None
    propagationPolicy: str | None = None


class FieldSelectorRequirement(Model):
    """One requirement on a field."""

    key: Annotated[str | None, REQUIRED] = None
    operator: Annotated[str | None, REQUIRED] = None
    values: Annotated[list[str] | None, ATOMIC] = None


class GroupResource(Model):
    """A resource by its group and name."""

    group: Annotated[str | None, REQUIRED] = None
    resource: Annotated[str | None, REQUIRED] = None


class LabelSelectorRequirement(Model):
    """One requirement on a label."""

    key: Annotated[str | None, REQUIRED] = None
    operator: Annotated[str | None, REQUIRED] = None
    values: Annotated[list[str] | None, ATOMIC] = None


class LabelSelector(Model):
    """Which objects are meant, by their labels."""

    ATOMIC_MAP = True

    matchExpressions: Annotated[list[LabelSelectorRequirement] | None, ATOMIC] = None
    matchLabels: dict[str, str] | None = None


class ShardInfo(Model):
    """Which part of a list a server answered for."""

    selector: Annotated[str | None, REQUIRED] = None


class ListMeta(Model):
    """The version of a list and where its next page starts."""

    continue_: str | None = Field(default=None, alias="continue")
    remainingItemCount: Int64 | None = None
    resourceVersion: str | None = None
    selfLink: str | None = None
    shardInfo: ShardInfo | None = None


class ManagedFieldsEntry(Model):
    """The fields that one manager owns."""

    apiVersion: str | None = None
    fieldsType: str | None = None
    fieldsV1: JsonObject | None = None
    manager: str | None = None
    operation: str | None = None
    subresource: str | None = None
    time: Time | None = None


class OwnerReference(Model):
    """An object without which this one goes too."""

    ATOMIC_MAP = True

    apiVersion: Annotated[str | None, LISTED] = None
    blockOwnerDeletion: bool | None = None
    controller: bool | None = None
    kind: Annotated[str | None, LISTED] = None
    name: Annotated[str | None, REQUIRED] = None
    uid: Annotated[str | None, REQUIRED] = None


class ObjectMeta(Model):
    """An object's names, labels and history."""

    annotations: dict[str, str] | None = None
    creationTimestamp: Time | None = None
    deletionGracePeriodSeconds: Int64 | None = None
    deletionTimestamp: Time | None = None
    finalizers: Annotated[list[str] | None, ListSet(merge=True)] = None
    generateName: str | None = None
    generation: Int64 | None = None
    labels: dict[str, str] | None = None
    managedFields: Annotated[list[ManagedFieldsEntry] | None, ATOMIC] = None
    name: str | None = None
    namespace: str | None = None
    ownerReferences: Annotated[list[OwnerReference] | None, MergeKey("uid")] = None
    resourceVersion: str | None = None
    selfLink: str | None = None
    uid: str | None = None


class StatusCause(Model):
    """One thing that was wrong."""

    field: str | None = None
    message: str | None = None
    reason: str | None = None


class StatusDetails(Model):
    """More about what was wrong."""

    causes: Annotated[list[StatusCause] | None, ATOMIC] = None
    group: str | None = None
    kind: str | None = None
    name: str | None = None
    retryAfterSeconds: Int32 | None = None
    uid: str | None = None


class Status(Model):
    """The answer to a request that has no object to answer with."""

    apiVersion: str | None = None
    code: Int32 | None = None
    details: StatusDetails | None = None
    kind: str | None = None
    message: str | None = None
    metadata: ListMeta | None = None
    reason: str | None = None
    status: str | None = None


class Kind(Model):
    """The base of every kind that clients create, list and watch."""

    apiVersion: str | None = None
    kind: str | None = None
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
