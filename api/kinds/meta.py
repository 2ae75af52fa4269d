"""The models of meta."""

from typing import Annotated

from pydantic import Field

from api.kinds.base import ATOMIC, LISTED, REQUIRED, Int32, Int64, JsonObject, ListSet, MergeKey, Model, Time


class Condition(Model):
    """Condition."""

    lastTransitionTime: Annotated[Time | None, LISTED] = None
    message: Annotated[str | None, LISTED] = None
    observedGeneration: Int64 | None = None
    reason: Annotated[str | None, LISTED] = None
    status: Annotated[str | None, LISTED] = None
    type: Annotated[str | None, LISTED] = None


class Preconditions(Model):
    """Preconditions."""

    resourceVersion: str | None = None
    uid: str | None = None


class DeleteOptions(Model):
    """Delete Options."""

    apiVersion: str | None = None
    dryRun: Annotated[list[str] | None, ATOMIC] = None
    gracePeriodSeconds: Int64 | None = None
    ignoreStoreReadErrorWithClusterBreakingPotential: bool | None = None
    kind: str | None = None
    orphanDependents: bool | None = None
    preconditions: Preconditions | None = None
    propagationPolicy: str | None = None


class FieldSelectorRequirement(Model):
    """Field Selector Requirement."""

    key: Annotated[str | None, REQUIRED] = None
    operator: Annotated[str | None, REQUIRED] = None
    values: Annotated[list[str] | None, ATOMIC] = None


class GroupResource(Model):
    """Group Resource."""

    group: Annotated[str | None, REQUIRED] = None
    resource: Annotated[str | None, REQUIRED] = None


class LabelSelectorRequirement(Model):
    """Label Selector Requirement."""

    key: Annotated[str | None, REQUIRED] = None
    operator: Annotated[str | None, REQUIRED] = None
    values: Annotated[list[str] | None, ATOMIC] = None


class LabelSelector(Model):
    """Label Selector."""

    ATOMIC = True

    matchExpressions: Annotated[list[LabelSelectorRequirement] | None, ATOMIC] = None
    matchLabels: dict[str, str] | None = None


class ShardInfo(Model):
    """Shard Info."""

    selector: Annotated[str | None, REQUIRED] = None


class ListMeta(Model):
    """List Meta."""

    continue_: str | None = Field(default=None, alias="continue")
    remainingItemCount: Int64 | None = None
    resourceVersion: str | None = None
    selfLink: str | None = None
    shardInfo: ShardInfo | None = None


class ManagedFieldsEntry(Model):
    """Managed Fields Entry."""

    apiVersion: str | None = None
    fieldsType: str | None = None
    fieldsV1: JsonObject | None = None
    manager: str | None = None
    operation: str | None = None
    subresource: str | None = None
    time: Time | None = None


class OwnerReference(Model):
    """A reference: Owner."""

    ATOMIC = True

    apiVersion: str | None = None
    blockOwnerDeletion: bool | None = None
    controller: bool | None = None
    kind: str | None = None
    name: Annotated[str | None, REQUIRED] = None
    uid: Annotated[str | None, REQUIRED] = None


class ObjectMeta(Model):
    """Object Meta."""

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
    """Status Cause."""

    field: str | None = None
    message: str | None = None
    reason: str | None = None


class StatusDetails(Model):
    """Status Details."""

    causes: Annotated[list[StatusCause] | None, ATOMIC] = None
    group: str | None = None
    kind: str | None = None
    name: str | None = None
    retryAfterSeconds: Int32 | None = None
    uid: str | None = None


class Status(Model):
    """Status."""

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
