"""A merchant's program with full control over what it sends, and views to send it to."""

import base64
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from django.test import Client
from django.utils import timezone

from openplatform.models import App, AppKey, Merchant, PlatformKey

SCHEME, ED25519_SCHEME = "FENPAY-SHA256-RSA2048", "FENPAY-ED25519"


def a_key(bits: int = 2048, exponent: int = 65537) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=exponent, key_size=bits)


def an_ed25519_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def sign(key: Any, message: bytes) -> str:
    """In base64, by the key's own algorithm."""
    raw = key.sign(message) if scheme_of(key) == ED25519_SCHEME else key.sign(message, PKCS1v15(), hashes.SHA256())
    return base64.b64encode(raw).decode()


def scheme_of(key: Any) -> str:
    return ED25519_SCHEME if isinstance(key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey) else SCHEME


def public_pem(key: Any) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def private_pem(key: Any) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def an_app(**kwargs: Any) -> App:
    now = timezone.now()
    return App.register(merchant=Merchant.register(name="Fen Coffee", now=now), name="till", now=now, **kwargs)


@dataclass
class Caller:
    """Signs and sends through Django's test client, or only signs."""

    app: App
    key: Any = field(default_factory=a_key)
    serial_no: str = ""
    scopes: Any = None
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    def __post_init__(self) -> None:
        if not self.serial_no:
            self.serial_no = AppKey.register(
                app=self.app, public_key_pem=public_pem(self.key), scopes=self.scopes, now=timezone.now()
            ).pk

    def params(self, method: str, target: str, body: bytes = b"", **changes: str) -> dict[str, str]:
        """The five parameters, signed; `changes` go in before the signature is made, but `signature` replaces it."""
        values = {
            "mchid": str(self.app.pk), "nonce_str": secrets.token_urlsafe(24), "timestamp": str(int(time.time())),
            "serial_no": self.serial_no,
        } | changes  # fmt: skip
        message = f"{method}\n{target}\n{values['timestamp']}\n{values['nonce_str']}\n".encode() + body + b"\n"
        return {"signature": sign(self.key, message)} | values

    def authorization(self, method: str, target: str, body: bytes = b"", *, scheme: str = "", **changes: str) -> str:
        return header(self.params(method, target, body, **changes), scheme=scheme or scheme_of(self.key))

    def send(
        self, method: str, target: str, body: bytes = b"", *, authorization: str | None = None,
        raw_uri: str | None = None, content_type: str = "application/json",
        signing: dict[str, str] | None = None, **environ: str,
    ) -> Any:  # fmt: skip
        if authorization is None:
            authorization = self.authorization(method, target, body, **(signing or {}))
        if authorization:
            environ["HTTP_AUTHORIZATION"] = authorization
        if raw_uri is not None:
            environ["RAW_URI"] = raw_uri
        return self.client.generic(method, target, body, content_type=content_type if body else "", **environ)

    def get(self, target: str, **kwargs: Any) -> Any:
        return self.send("GET", target, **kwargs)

    def post(self, target: str, body: Any = None, **kwargs: Any) -> Any:
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return self.send("POST", target, raw, **kwargs)


def header(params: dict[str, str], *, scheme: str = SCHEME) -> str:
    return f"{scheme} " + ",".join(f'{name}="{value}"' for name, value in params.items())


def is_signed_by_us(answer: Any, *, prefix: str = "Fenpay") -> bool:
    """Whether one of our platform keys signed exactly the bytes of this answer."""
    if f"{prefix}-Signature" not in answer.headers:
        return False
    row = PlatformKey.objects.get(pk=answer.headers[f"{prefix}-Serial"])
    return proves(row.public_key_pem, answer.headers, answer.content, prefix=prefix)


def proves(pem: str, headers: Any, body: bytes, *, prefix: str = "Fenpay") -> bool:
    key = serialization.load_pem_public_key(pem.encode())
    message = f"{headers[f'{prefix}-Timestamp']}\n{headers[f'{prefix}-Nonce']}\n".encode() + body + b"\n"
    signature = base64.b64decode(headers[f"{prefix}-Signature"])
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
        else:
            key.verify(signature, message, PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True
