"""ServiceAccount: every pod runs as an account of its namespace and, unless it opts out, gets a token for the API.

Source: Kubernetes, "Configure Service Accounts for Pods", and KEP-1205 for the projected volume.
"""

import secrets
from typing import Protocol

from api import errors
from api.pods import is_mirror
from api.resources import PODS, SERVICEACCOUNTS
from api.types import Object
from apiserver.admission.podspec import containers
from apiserver.auth.lookup import Lookup, Waiter
from apiserver.plugins import AdmissionRequest

DEFAULT = "default"
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 a mount path
VOLUME_PREFIX = "kube-api-access-"
TOKEN_SECONDS = 3607
ROOT_CA = "kube-root-ca.crt"
WAIT_FOR_DEFAULT = 2.0
"""Seconds to wait for the account `default` of a namespace just made."""
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


class Accounts(Lookup, Waiter, Protocol):
    """Reads accounts and waits for them."""


class ServiceAccount:
    """Promises: a pod without an account gets `default`; a pod whose account is missing is Forbidden; the account's
    imagePullSecrets are taken when the pod names none; one `kube-api-access-xxxxx` volume, mounted where nothing else is
    mounted, unless pod or account say automountServiceAccountToken: false."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def __call__(self, request: AdmissionRequest) -> None:
        """Complete a pod that is created."""
        pod = request.object
        if request.operation != "CREATE" or request.resource is not PODS or request.subresource or pod is None:
            return
        if is_mirror(pod):
            check_mirror(request.name, pod)
            return
        spec = pod["spec"]
        name = spec.get("serviceAccountName") or spec.get("serviceAccount") or DEFAULT
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = self._accounts.get(SERVICEACCOUNTS, request.namespace, name)
        if account is None:
            seconds = WAIT_FOR_DEFAULT if name == DEFAULT else 0.2
            account = await self._accounts.wait_for(SERVICEACCOUNTS, request.namespace, name, seconds)
        if account is None:
            why = f'error looking up service account {request.namespace}/{name}: serviceaccount "{name}" not found'
            raise errors.forbidden(PODS, request.name, why)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [dict(ref) for ref in account["imagePullSecrets"]]
        if wants_token(spec, account):
            mount_token(spec)


def check_mirror(name: str, pod: Object) -> None:
    """Refuse a mirror pod that would give its node access to more of the API: Forbidden."""
    spec = pod["spec"]
    if spec.get("serviceAccountName"):
        raise errors.forbidden(PODS, name, "a mirror pod may not reference service accounts")
    for volume in spec.get("volumes") or ():
        projected = (volume.get("projected") or {}).get("sources") or ()
        if volume.get("secret") or any("secret" in source for source in projected):
            raise errors.forbidden(PODS, name, "a mirror pod may not reference secrets")
        if any("serviceAccountToken" in source for source in projected):
            raise errors.forbidden(PODS, name, "a mirror pod may not use ServiceAccountToken volume projections")


def wants_token(spec: Object, account: Object) -> bool:
    """Tell whether the pod shall get a token; the pod's own word counts before its account's."""
    for owner in (spec, account):
        choice = owner.get("automountServiceAccountToken")
        if choice is not None:
            return bool(choice)
    return True


def mount_token(spec: Object) -> None:
    """Add the token's volume and its mounts to a pod spec, in place."""
    volumes = spec.get("volumes") or []
    present = next((volume["name"] for volume in volumes if volume["name"].startswith(VOLUME_PREFIX)), None)
    name = present or VOLUME_PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(5))
    mounted = False
    for container in containers(spec, ("initContainers", "containers")):
        mounts = container.setdefault("volumeMounts", [])
        if any(mount.get("mountPath") == TOKEN_PATH for mount in mounts):
            continue
        mounts.append({"name": name, "readOnly": True, "mountPath": TOKEN_PATH})
        mounted = True
    if mounted and present is None:
        spec["volumes"] = [*volumes, token_volume(name)]


def token_volume(name: str) -> Object:
    """Return the projected volume with token, CA certificate and namespace."""
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "name": name,
        "projected": {
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
                {"configMap": {"name": ROOT_CA, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [namespace]}},
            ],
            "defaultMode": 0o644,
        },
    }
