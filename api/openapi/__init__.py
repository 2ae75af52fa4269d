"""OpenAPI v2 and v3, written from the registry and the models; plain dicts that the server serialises and hashes."""

from api.openapi.documents import document_v2, document_v3, group_versions

__all__ = ["document_v2", "document_v3", "group_versions"]
