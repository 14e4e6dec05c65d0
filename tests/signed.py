"""A merchant's program that signs by the letter of the documentation and checks every answer, without our own code."""

import base64
import json
import secrets
import time
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from django.test import Client

from openplatform.keys import ensure_platform_key, live_platform_keys
from openplatform.models import App, AppKey
from tests.factories import NOW

PREFIX = "/openapi/v1"


class Merchant:
    """Calls the API for `app` through Django's test client, with a key pair of its own."""

    prefix, scheme = PREFIX, "FENPAY-SHA256-RSA2048"

    def __init__(self, app: App, *, scopes: list[str] | None = None) -> None:
        self.app = app
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.serial_no = AppKey.register(app=app, public_key_pem=public.decode(), scopes=scopes, now=NOW).pk
        ensure_platform_key(now=NOW)
        self.client = Client()

    def post(self, path: str, fields: Any = None, **headers: str) -> "Answer":
        body = fields if isinstance(fields, bytes) else b"" if fields is None else json.dumps(fields).encode()
        return self.send("POST", path, body, **headers)

    def get(self, path: str, **headers: str) -> "Answer":
        return self.send("GET", path, b"", **headers)

    def send(
        self, method: str, path: str, body: bytes, *, sign: dict[str, Any] | None = None, **headers: str
    ) -> "Answer":
        authorization = self.authorization(method=method, target=self.prefix + path, body=body, **(sign or {}))
        answer = self.client.generic(
            method, self.prefix + path, body, content_type="application/json", RAW_URI=self.prefix + path,
            headers={"Authorization": authorization} | {name.replace("_", "-"): v for name, v in headers.items()},
        )  # fmt: skip
        return Answer(answer)

    def authorization(
        self, *, method: str, target: str, body: bytes, timestamp: int | None = None, nonce: str | None = None,
        app_id: int | None = None, serial_no: str | None = None, signature: str | None = None,
    ) -> str:  # fmt: skip
        timestamp, nonce = timestamp or int(time.time()), nonce or secrets.token_hex(16)
        message = f"{method}\n{target}\n{timestamp}\n{nonce}\n".encode() + body + b"\n"
        signature = signature or base64.b64encode(self.key.sign(message, PKCS1v15(), hashes.SHA256())).decode()
        return (
            f'{self.scheme} mchid="{app_id or self.app.pk}",nonce_str="{nonce}",timestamp="{timestamp}",'
            f'serial_no="{serial_no or self.serial_no}",signature="{signature}"'
        )


class Answer:
    """Status, headers and fields of an answer; `is_signed` says whether one of our platform keys signed these bytes."""

    def __init__(self, response: Any) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.body = response.content
        self.fields = json.loads(response.content) if response.content else {}

    @property
    def code(self) -> str:
        return self.fields.get("code", "")

    @property
    def reasons(self) -> dict[str, str]:
        return {error["field"]: error["reason"] for error in self.fields.get("errors", [])}

    @property
    def is_signed(self) -> bool:
        return self.is_signed_under("Fenpay")

    def is_signed_under(self, prefix: str) -> bool:
        """Whether the headers that begin with `prefix` prove these bytes."""
        if f"{prefix}-Signature" not in self.headers:
            return False
        pems = {key.serial_no: key.public_key_pem for key in live_platform_keys(now=NOW)}
        key = serialization.load_pem_public_key(pems[self.headers[f"{prefix}-Serial"]].encode())
        assert isinstance(key, RSAPublicKey)
        message = (
            f"{self.headers[f'{prefix}-Timestamp']}\n{self.headers[f'{prefix}-Nonce']}\n".encode() + self.body + b"\n"
        )
        try:
            key.verify(base64.b64decode(self.headers[f"{prefix}-Signature"]), message, PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True
