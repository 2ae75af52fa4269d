"""Bootstrap tokens, and the certificates of the control plane that a further one may fetch with a key.

Source: the Kubernetes documentation, "Authenticating with Bootstrap Tokens"; kubeadm's `--upload-certs`.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from api import resources, timestamp
from api.errors import NotFound
from api.types import Object
from client.rest import ApiClient
from cloudctl.cluster.state import ClusterError
from cloudctl.machine.certificates import SHARED

NAMESPACE = "kube-system"
GROUP = "system:bootstrappers:kubeadm:default-node-token"
CERTS = "cloudlet-certs"
DAY, CERTS_SECONDS = 24 * 3600, 2 * 3600
_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_NONCE = 12


@dataclass(frozen=True)
class Token:
    """A bootstrap token: its public name and its secret part."""

    ident: str
    secret: str

    @classmethod
    def new(cls) -> Token:
        """A random one."""
        return cls(secrets.token_hex(3), secrets.token_hex(8))

    @classmethod
    def parse(cls, text: str) -> Token:
        """From `abcdef.0123456789abcdef`. Raises ClusterError."""
        match = _TOKEN.fullmatch(text)
        if match is None:
            raise ClusterError("--token: a token has six characters, a dot and sixteen more, all of a-z and 0-9")
        return cls(match[1], match[2])

    def __str__(self) -> str:
        return f"{self.ident}.{self.secret}"


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def secret(token: Token, seconds: int, description: str, *, usages: tuple[str, ...], now: datetime.datetime) -> Object:
    """The Secret of a token that is good for `seconds`. Pure."""
    data = {
        "token-id": token.ident,
        "token-secret": token.secret,
        "expiration": timestamp.format(now + datetime.timedelta(seconds=seconds)),
        "description": description,
        **{f"usage-bootstrap-{usage}": "true" for usage in usages},
    }
    if "authentication" in usages:
        data["auth-extra-groups"] = GROUP
    return {
        "metadata": {"name": f"bootstrap-token-{token.ident}", "namespace": NAMESPACE},
        "type": "bootstrap.kubernetes.io/token",
        "data": {key: _b64(value) for key, value in data.items()},
    }


async def create(client: ApiClient, seconds: int = DAY) -> Token:
    """A token by which machines may join for `seconds`."""
    token, now = Token.new(), datetime.datetime.now(datetime.UTC)
    words = "for machines that join"
    await client.create(resources.SECRETS, secret(token, seconds, words, usages=("signing", "authentication"), now=now))
    return token


async def upload(client: ApiClient, folder: Path) -> str:
    """Put the shared certificates and keys into the cluster, encrypted; returns the key that reads them.

    The Secret belongs to a token without any use, so that the controllers delete both after two hours.
    """
    key, now = AESGCM.generate_key(256), datetime.datetime.now(datetime.UTC)
    lock = secret(Token.new(), CERTS_SECONDS, f"the lifetime of {CERTS}", usages=(), now=now)
    owner = await client.create(resources.SECRETS, lock)
    reference = {
        "apiVersion": "v1", "kind": "Secret", "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": True,
    }  # fmt: skip
    with contextlib.suppress(NotFound):
        await client.delete(resources.SECRETS, CERTS, NAMESPACE)
    await client.create(resources.SECRETS, {
        "metadata": {"name": CERTS, "namespace": NAMESPACE, "ownerReferences": [reference]},
        "data": {name.replace("/", "-"): encrypted((folder / name).read_bytes(), key) for name in SHARED},
    })  # fmt: skip
    return key.hex()


def encrypted(data: bytes, key: bytes) -> str:
    """AES-GCM with a nonce of its own in front, as base64."""
    nonce = secrets.token_bytes(_NONCE)
    return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, data, None)).decode()


def decrypted(text: str, key: bytes) -> bytes:
    """What `encrypted` was given. Raises ClusterError for another key."""
    data = base64.b64decode(text)
    try:
        return AESGCM(key).decrypt(data[:_NONCE], data[_NONCE:], None)
    except InvalidTag as error:
        raise ClusterError(
            "--certificate-key: it is not the key of the certificates that are in the cluster now"
        ) from error


def certificate_key(text: str) -> bytes:
    """The key from its 64 hexadecimal digits. Raises ClusterError."""
    try:
        key = binascii.unhexlify(text)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ClusterError("--certificate-key: 64 hexadecimal digits are needed")
    return key


async def download(client: ApiClient, key: bytes) -> dict[str, bytes]:
    """The shared files by their names in the folder of certificates. Raises ClusterError."""
    try:
        found = await client.get(resources.SECRETS, CERTS, NAMESPACE)
    except NotFound as error:
        raise ClusterError(
            "the control plane's certificates are no longer offered (they are for two hours): "
            "`cloudctl token create --control-plane` on a control plane offers them anew"
        ) from error
    return {name: decrypted(found["data"][name.replace("/", "-")], key) for name in SHARED}


def put(path: Path, data: bytes) -> None:
    """Write one of the shared files: keys for their owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    partial = path.with_name(path.name + ".tmp")
    partial.touch(mode=0o600)
    partial.write_bytes(data)
    partial.chmod(0o600 if path.suffix == ".key" else 0o644)
    partial.replace(path)
