"""The keys that sign and verify ServiceAccount tokens, their key ids, and the JSON Web Key Set of the public ones."""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_PEM_END = b"-----END "


class BadKey(ValueError):
    """A key file that cannot be used."""


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """A public key with the id that tokens name it by and the one algorithm it may be used with."""

    key_id: str
    algorithm: str
    key: PublicKey

    def jwk(self) -> dict[str, Any]:
        """Return the key as a member of a JWKS (RFC 7517)."""
        if isinstance(self.key, rsa.RSAPublicKey):
            data = RSAAlgorithm.to_jwk(self.key, as_dict=True)
        else:
            data = ECAlgorithm.to_jwk(self.key, as_dict=True)
        data.pop("key_ops", None)
        return {"use": "sig", "kty": data["kty"], "kid": self.key_id, "alg": self.algorithm, **data}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The private key that signs new tokens."""

    key_id: str
    algorithm: str
    key: PrivateKey


def key_id_of(key: PublicKey) -> str:
    """Return the key id Kubernetes derives: unpadded base64url of the SHA-256 of the DER public key."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def algorithm_of(key: PublicKey) -> str:
    """Return RS256 for RSA keys and the ES algorithm of the curve for elliptic ones; BadKey for any other key."""
    if isinstance(key, rsa.RSAPublicKey):
        return "RS256"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    raise BadKey("service account keys must be RSA or elliptic (P-256, P-384, P-521)")


def _verify_key(key: object) -> VerifyKey:
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise BadKey("service account keys must be RSA or elliptic")
    return VerifyKey(key_id_of(key), algorithm_of(key), key)


def parse_public_keys(pem: bytes) -> list[VerifyKey]:
    """Return the keys of a PEM file, in order; private keys count as their public half. BadKey when there is none."""
    keys = []
    for block in pem.split(_PEM_END)[:-1]:
        _, _, body = block.rpartition(b"-----BEGIN ")
        label = body.split(b"-----")[0]
        whole = b"-----BEGIN " + body + _PEM_END + label + b"-----\n"
        try:
            if b"PRIVATE" in label:
                keys.append(_verify_key(serialization.load_pem_private_key(whole, None).public_key()))
            else:
                keys.append(_verify_key(serialization.load_pem_public_key(whole)))
        except (ValueError, TypeError) as error:
            raise BadKey(f"service account key: {error}") from error
    if not keys:
        raise BadKey("no PEM key in the service account key file")
    return keys


def load_public_keys(paths: Iterable[Path]) -> list[VerifyKey]:
    """Return the keys of all files, each key once."""
    keys = {key.key_id: key for path in paths for key in parse_public_keys(path.read_bytes())}
    return list(keys.values())


def load_signing_key(path: Path) -> SigningKey:
    """Return the private key of a PEM file; BadKey when it cannot sign."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise BadKey(f"service account signing key {path}: {error}") from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise BadKey(f"service account signing key {path}: must be RSA or elliptic")
    public = key.public_key()
    return SigningKey(key_id_of(public), algorithm_of(public), key)
