"""Kinds of the group apiextensions.k8s.io: resources of one's own."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from api.kinds.base import (
    ATOMIC,
    LISTED,
    REQUIRED,
    Base64,
    Double,
    Int32,
    Int64,
    Json,
    JsonObject,
    ListMap,
    MergeKey,
    Model,
    OneOf,
    Time,
)
from api.kinds.meta import Kind


class CustomResourceColumnDefinition(Model):
    """A column that tables of a custom resource show."""

    description: str | None = None
    format: str | None = None
    jsonPath: Annotated[str | None, REQUIRED] = None
    name: Annotated[str | None, REQUIRED] = None
    priority: Int32 | None = None
    type: Annotated[str | None, REQUIRED] = None


class ServiceReference(Model):
    """A Service that converts custom resources."""

    name: Annotated[str | None, REQUIRED] = None
    namespace: Annotated[str | None, REQUIRED] = None
    path: str | None = None
    port: Int32 = 443


class WebhookClientConfig(Model):
    """How the server reaches a conversion webhook."""

    caBundle: Base64 | None = None
    service: ServiceReference | None = None
    url: str | None = None


class WebhookConversion(Model):
    """The webhook that converts between versions, and the review versions it speaks."""

    clientConfig: WebhookClientConfig | None = None
    conversionReviewVersions: Annotated[list[str] | None, ATOMIC, REQUIRED] = None


class CustomResourceConversion(Model):
    """How objects are converted between the versions of a custom resource."""

    strategy: Annotated[str, REQUIRED, OneOf("None", "Webhook")] = "None"
    webhook: WebhookConversion | None = None


class CustomResourceDefinitionNames(Model):
    """The names by which a custom resource is known."""

    categories: Annotated[list[str] | None, ATOMIC] = None
    kind: str | None = None
    listKind: str | None = None
    plural: Annotated[str | None, REQUIRED] = None
    shortNames: Annotated[list[str] | None, ATOMIC] = None
    singular: str | None = None


class CustomResourceSubresourceScale(Model):
    """Where a custom resource keeps what its scale subresource shows."""

    labelSelectorPath: str | None = None
    specReplicasPath: Annotated[str | None, REQUIRED] = None
    statusReplicasPath: Annotated[str | None, REQUIRED] = None


class CustomResourceSubresources(Model):
    """The subresources that a custom resource has."""

    scale: CustomResourceSubresourceScale | None = None
    status: JsonObject | None = None


class ExternalDocumentation(Model):
    """A pointer to a page outside."""

    description: str | None = None
    url: str | None = None


class ValidationRule(Model):
    """A CEL rule that a value must obey."""

    fieldPath: str | None = None
    message: str | None = None
    messageExpression: str | None = None
    optionalOldSelf: bool | None = None
    reason: str | None = None
    rule: Annotated[str | None, REQUIRED] = None


class JSONSchemaProps(Model):
    """A JSON schema in the dialect of custom resources."""

    ref_: str | None = Field(default=None, alias="$ref")
    schema_: str | None = Field(default=None, alias="$schema")
    additionalItems: Json = None
    additionalProperties: Json = None
    allOf: Annotated["list[JSONSchemaProps] | None", ATOMIC] = None
    anyOf: Annotated["list[JSONSchemaProps] | None", ATOMIC] = None
    default: Json = None
    definitions: "dict[str, JSONSchemaProps] | None" = None
    dependencies: dict[str, Json] | None = None
    description: str | None = None
    enum: Annotated[list[Json] | None, ATOMIC] = None
    example: Json = None
    exclusiveMaximum: bool | None = None
    exclusiveMinimum: bool | None = None
    externalDocs: ExternalDocumentation | None = None
    format: str | None = None
    id: str | None = None
    items: Json = None
    maxItems: Int64 | None = None
    maxLength: Int64 | None = None
    maxProperties: Int64 | None = None
    maximum: Double | None = None
    minItems: Int64 | None = None
    minLength: Int64 | None = None
    minProperties: Int64 | None = None
    minimum: Double | None = None
    multipleOf: Double | None = None
    not_: "JSONSchemaProps | None" = Field(default=None, alias="not")
    nullable: bool | None = None
    oneOf: Annotated["list[JSONSchemaProps] | None", ATOMIC] = None
    pattern: str | None = None
    patternProperties: "dict[str, JSONSchemaProps] | None" = None
    properties: "dict[str, JSONSchemaProps] | None" = None
    required: Annotated[list[str] | None, ATOMIC] = None
    title: str | None = None
    type: str | None = None
    uniqueItems: bool | None = None
    x_kubernetes_embedded_resource: bool | None = Field(default=None, alias="x-kubernetes-embedded-resource")
    x_kubernetes_int_or_string: bool | None = Field(default=None, alias="x-kubernetes-int-or-string")
    x_kubernetes_list_map_keys: Annotated[list[str] | None, ATOMIC] = Field(
        default=None, alias="x-kubernetes-list-map-keys"
    )
    x_kubernetes_list_type: str | None = Field(default=None, alias="x-kubernetes-list-type")
    x_kubernetes_map_type: str | None = Field(default=None, alias="x-kubernetes-map-type")
    x_kubernetes_preserve_unknown_fields: bool | None = Field(
        default=None, alias="x-kubernetes-preserve-unknown-fields"
    )
    x_kubernetes_validations: Annotated[list[ValidationRule] | None, MergeKey("rule")] = Field(
        default=None, alias="x-kubernetes-validations"
    )


class CustomResourceValidation(Model):
    """The schema that objects of a version must fit."""

    openAPIV3Schema: JSONSchemaProps | None = None


class SelectableField(Model):
    """A field by which objects can be selected."""

    jsonPath: Annotated[str | None, REQUIRED] = None


class CustomResourceDefinitionVersion(Model):
    """One version of a custom resource."""

    additionalPrinterColumns: Annotated[list[CustomResourceColumnDefinition] | None, ATOMIC] = None
    deprecated: bool | None = None
    deprecationWarning: str | None = None
    name: Annotated[str | None, REQUIRED] = None
    schema_: CustomResourceValidation | None = Field(default=None, alias="schema")
    selectableFields: Annotated[list[SelectableField] | None, ATOMIC] = None
    served: Annotated[bool, LISTED] = False
    storage: Annotated[bool, LISTED] = False
    subresources: CustomResourceSubresources | None = None


class CustomResourceDefinitionSpec(Model):
    """The names, scope and versions of a custom resource."""

    conversion: CustomResourceConversion = Field(default_factory=CustomResourceConversion)
    group: Annotated[str | None, REQUIRED] = None
    names: Annotated[CustomResourceDefinitionNames | None, REQUIRED] = None
    preserveUnknownFields: bool | None = None
    scope: Annotated[str | None, REQUIRED, OneOf("Cluster", "Namespaced")] = None
    versions: Annotated[list[CustomResourceDefinitionVersion] | None, ATOMIC, REQUIRED] = None

    @model_validator(mode="after")
    def _default(self) -> Self:
        if self.names and self.names.kind:
            self.names.singular = self.names.singular or self.names.kind.lower()
            self.names.listKind = self.names.listKind or f"{self.names.kind}List"
        return self


class CustomResourceDefinitionCondition(Model):
    """One condition of a custom resource definition."""

    lastTransitionTime: Time | None = None
    message: str | None = None
    observedGeneration: Int64 | None = None
    reason: str | None = None
    status: Annotated[str, LISTED] = ""
    type: Annotated[str, LISTED] = ""


class CustomResourceDefinitionStatus(Model):
    """Which names were accepted and whether the resource is served."""

    acceptedNames: CustomResourceDefinitionNames | None = None
    conditions: Annotated[list[CustomResourceDefinitionCondition] | None, ListMap("type")] = None
    observedGeneration: Int64 | None = None
    storedVersions: Annotated[list[str] | None, ATOMIC] = None


class CustomResourceDefinition(Kind):
    """Adds a resource of one's own to the API."""

    spec: Annotated[CustomResourceDefinitionSpec, REQUIRED] = Field(default_factory=CustomResourceDefinitionSpec)
    status: CustomResourceDefinitionStatus = Field(default_factory=CustomResourceDefinitionStatus)
