"""Kubernetes' protobuf request bodies: what typed Go clients, kubectl among them, send."""

from api.protobuf.decode import MEDIA_TYPE, decode

__all__ = ["MEDIA_TYPE", "decode"]
