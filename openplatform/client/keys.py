"""A new key of ours, made known to the platform: the public half is handed in, the private half answers a challenge."""

from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from openplatform.client.calls import Client
from openplatform.client.config import PrivateKey
from openplatform.client.envelopes import decrypt_text
from openplatform.client.signing import sign


def answer_challenge(key: PrivateKey, challenge: str, *, serial_no: str = "") -> str:
    """The proof: the challenge signed, or decrypted when it is an envelope for the key `serial_no`."""
    if challenge.startswith("fenpay-key-proof:"):
        return sign(key, challenge.encode())
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("only an RSA key decrypts")
    return decrypt_text(challenge, keys={serial_no: key})


def register_key(
    client: Client, key: PrivateKey, *, purpose: str = "sign", scopes: Sequence[str] | None = None
) -> dict[str, Any]:
    """Hand in the public half of `key`, answer the challenge, and give the key's description back, active.

    The client's own key needs keys:manage. Sent twice it is the same key: after a failure, call it again.
    """
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    offer: dict[str, Any] = {"public_key_pem": public, "purpose": purpose}
    if scopes:
        offer["scopes"] = list(scopes)
    pending = client.offer_key(offer)
    serial_no = pending["serial_no"]
    proof = answer_challenge(key, pending["challenge"]["text"], serial_no=serial_no)
    return client.prove_key(serial_no, proof=proof)
