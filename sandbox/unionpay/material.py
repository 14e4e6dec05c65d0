"""The model provider's side of the identity: two key pairs and two numbers."""

import secrets
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox import crypto


@dataclass(frozen=True, kw_only=True)
class UnionPaySide:
    """What the provider knows of the one merchant, and the key that it signs callbacks and answers with."""

    serv_prov_id: str
    mer_id: str
    merchant_public_key_pem: str
    private_key_pem: str
    name: dict[str, str]

    @property
    def private_key(self) -> rsa.RSAPrivateKey:
        return crypto.private_key(self.private_key_pem)


def new() -> tuple[dict[str, Any], UnionPaySide]:
    """The merchant's half and the provider's half of fresh material."""
    merchant_key, own_key = crypto.new_key(), crypto.new_key()
    side = UnionPaySide(
        serv_prov_id=f"SANDBOX{secrets.randbelow(10**8):08d}",
        mer_id=f"8980{secrets.randbelow(10**11):011d}",
        merchant_public_key_pem=crypto.public_pem(merchant_key.public_key()),
        private_key_pem=crypto.private_pem(own_key),
        name={"zh-hans": "沙箱演示商户", "en": "Sandbox Demo Store"},
    )
    half = {
        "serv_prov_id": side.serv_prov_id,
        "mer_id": side.mer_id,
        "merchant_private_key_pem": crypto.private_pem(merchant_key),
        "platform_public_key_pem": crypto.public_pem(own_key.public_key()),
    }
    return half, side


def load(stored: dict[str, Any]) -> UnionPaySide:
    return UnionPaySide(**stored)


def addresses(base_url: str, backup_url: str) -> dict[str, str]:
    return {
        "api_base": base_url,
        "backup_api_base": backup_url,
        "user_auth_url": f"{base_url}/qrcGtwWeb-web/api/userAuth",
        "phone_base": f"{base_url}/phone",
    }
