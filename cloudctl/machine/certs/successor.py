"""The authority that is to follow: made on one control plane, and handed to the others in a Secret that only they can read.

It is encrypted with a key that all control planes have from the authority that signs now.
"""

from __future__ import annotations

import contextlib

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from api import resources
from api.errors import AlreadyExists, NotFound
from client.rest import ApiClient
from cloudctl.cluster.pairs import Pair
from cloudctl.cluster.pki import new_authority
from cloudctl.cluster.state import ClusterError
from cloudctl.machine import certificates
from cloudctl.machine.layout import Machine
from cloudctl.machine.tokens import NAMESPACE, decrypted, encrypted


def _secret(authority: str) -> str:
    return f"cloudlet-next-{authority.replace('/', '-')}"


def _key(machine: Machine, authority: str) -> bytes:
    path = machine.pki / f"{authority}.key"
    private = serialization.load_pem_private_key(path.read_bytes(), None)
    secret = private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return HKDF(hashes.SHA256(), 32, None, b"cloudlet: the authority that is to follow").derive(secret)


async def shared(client: ApiClient, machine: Machine, authority: str) -> Pair:
    """The authority that all control planes are to follow, made by whoever asks first. Raises ClusterError."""
    key, name = _key(machine, authority), _secret(authority)
    pair = new_authority(certificates.COMMON_NAMES[authority])
    data = {"crt": encrypted(pair.cert, key), "key": encrypted(pair.key, key)}
    with contextlib.suppress(AlreadyExists):
        await client.create(resources.SECRETS, {"metadata": {"name": name, "namespace": NAMESPACE}, "data": data})
    return await fetch(client, machine, authority)


async def fetch(client: ApiClient, machine: Machine, authority: str) -> Pair:
    """The one that was shared. Raises ClusterError when it is not there, or for others."""
    key, name = _key(machine, authority), _secret(authority)
    try:
        found = (await client.get(resources.SECRETS, name, NAMESPACE))["data"]
        return Pair(decrypted(found["crt"], key), decrypted(found["key"], key))
    except NotFound as error:
        raise ClusterError(f"the next authority is no longer in the Secret {NAMESPACE}/{name}: start again") from error
    except ClusterError as error:
        raise ClusterError(
            f"the Secret {NAMESPACE}/{name} is not from a control plane with this machine's {authority}.key: if it is left over "
            f"from an earlier rotation, `cloudctl delete secret {name} -n {NAMESPACE}`"
        ) from error


async def forget(client: ApiClient, authority: str) -> None:
    """Have the Secret no longer there."""
    with contextlib.suppress(NotFound):
        await client.delete(resources.SECRETS, _secret(authority), NAMESPACE)
