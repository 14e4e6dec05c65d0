"""Who is who in the sandbox: keys, certificates, numbers. Made once, kept in two files, all marked SANDBOX.

`identity.json` is what a merchant gets from its WeChat Pay console and is meant for the application under test.
`platform.json` is the other side: only the sandbox itself reads it.
"""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox import crypto

MERCHANT_FILE = "identity.json"
PLATFORM_FILE = "platform.json"
APIV3_KEY_LENGTH = 32


class IdentityMissing(Exception):
    """The directory has no sandbox identity yet: run `python -m sandbox init` first."""


@dataclass(frozen=True, kw_only=True)
class Merchant:
    """What the platform knows about one merchant. `name` holds the display name by language."""

    mchid: str
    appid: str
    app_secret: str
    serial_no: str
    certificate_pem: str
    apiv3_key: str
    name: dict[str, str]

    @property
    def public_key(self) -> rsa.RSAPublicKey:
        return crypto.certificate_key(self.certificate_pem)


@dataclass(frozen=True, kw_only=True)
class PlatformKey:
    """One of the platform's signing keys: the PUB_KEY_ID_ key (no certificate) or a platform certificate's."""

    key_id: str
    private_key_pem: str
    certificate_pem: str = ""

    @property
    def private_key(self) -> rsa.RSAPrivateKey:
        return crypto.private_key(self.private_key_pem)

    @property
    def is_certificate(self) -> bool:
        return bool(self.certificate_pem)


@dataclass(frozen=True, kw_only=True)
class Platform:
    """The sandbox's own side. `certificates` holds the current one first, then its successor for a rotation."""

    secret: str
    control_token: str
    public_key: PlatformKey
    certificates: tuple[PlatformKey, ...]
    merchants: tuple[Merchant, ...]

    def merchant(self, mchid: str) -> Merchant | None:
        return next((merchant for merchant in self.merchants if merchant.mchid == mchid), None)

    def merchant_of_app(self, appid: str) -> Merchant | None:
        return next((merchant for merchant in self.merchants if merchant.appid == appid), None)

    def key(self, key_id: str) -> PlatformKey | None:
        return next((key for key in (self.public_key, *self.certificates) if key.key_id == key_id), None)


def make(directory: Path, *, base_url: str) -> Path:
    """Create the identity in `directory`, or find it again; addresses follow `base_url`. Returns the merchant's file.

    Both files are readable by their owner only.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    merchant_file, platform_file = directory / MERCHANT_FILE, directory / PLATFORM_FILE
    if platform_file.exists() and merchant_file.exists():
        identity = json.loads(merchant_file.read_text())
    else:
        identity, platform = _new_identity(now=datetime.now(UTC))
        _write(platform_file, asdict(platform))
    identity["wechatpay"].update(_addresses(base_url.rstrip("/")))
    _write(merchant_file, identity)
    return merchant_file


@lru_cache(maxsize=4)
def load(directory: Path) -> Platform:
    """The platform's side of the identity in `directory`. Raises IdentityMissing."""
    try:
        stored = json.loads((directory / PLATFORM_FILE).read_text())
    except FileNotFoundError as error:
        raise IdentityMissing(f"no sandbox identity in {directory}: run `python -m sandbox init`") from error
    return Platform(
        secret=stored["secret"],
        control_token=stored["control_token"],
        public_key=PlatformKey(**stored["public_key"]),
        certificates=tuple(PlatformKey(**entry) for entry in stored["certificates"]),
        merchants=tuple(Merchant(**entry) for entry in stored["merchants"]),
    )


def _addresses(base_url: str) -> dict[str, str]:
    return {
        "api_base": base_url,
        "oauth_authorize_url": f"{base_url}/connect/oauth2/authorize",
        "oauth_api_base": base_url,
        "phone_base": f"{base_url}/phone",
    }


def _new_identity(*, now: datetime) -> tuple[dict[str, Any], Platform]:
    merchant_key = crypto.new_key()
    mchid = f"1900{secrets.randbelow(10**6):06d}"
    certificate = crypto.new_certificate(key=merchant_key, common_name=f"SANDBOX merchant {mchid}", now=now)
    merchant = Merchant(
        mchid=mchid,
        appid=f"wx{secrets.token_hex(8)}",
        app_secret=secrets.token_hex(16),
        serial_no=crypto.serial_no(certificate),
        certificate_pem=crypto.certificate_pem(certificate),
        apiv3_key=f"SANDBOX{secrets.token_hex(16)}"[:APIV3_KEY_LENGTH],
        name={"zh-hans": "沙箱演示商户", "en": "Sandbox Demo Store"},
    )
    platform = Platform(
        secret=secrets.token_urlsafe(48),
        control_token=secrets.token_urlsafe(24),
        public_key=_new_public_key(),
        certificates=tuple(_new_platform_certificate(name, now=now) for name in ("current", "next")),
        merchants=(merchant,),
    )
    return _merchant_side(merchant, platform=platform, key=merchant_key), platform


def _merchant_side(merchant: Merchant, *, platform: Platform, key: rsa.RSAPrivateKey) -> dict[str, Any]:
    current = platform.certificates[0]
    return {
        "_about": "SANDBOX material: worthless outside the sandbox that made it",
        "wechatpay": {
            "mchid": merchant.mchid,
            "appid": merchant.appid,
            "app_secret": merchant.app_secret,
            "merchant_serial_no": merchant.serial_no,
            "merchant_private_key_pem": crypto.private_pem(key),
            "merchant_certificate_pem": merchant.certificate_pem,
            "apiv3_key": merchant.apiv3_key,
            "platform_public_key_id": platform.public_key.key_id,
            "platform_public_key_pem": crypto.public_pem(platform.public_key.private_key.public_key()),
            "platform_certificate_pem": current.certificate_pem,
            "platform_certificate_serial_no": current.key_id,
        },
        "control_token": platform.control_token,
    }


def _new_public_key() -> PlatformKey:
    return PlatformKey(
        key_id=f"PUB_KEY_ID_0{secrets.randbelow(10**27):027d}", private_key_pem=crypto.private_pem(crypto.new_key())
    )


def _new_platform_certificate(name: str, *, now: datetime) -> PlatformKey:
    key = crypto.new_key()
    certificate = crypto.new_certificate(key=key, common_name=f"SANDBOX platform {name}", now=now)
    return PlatformKey(
        key_id=crypto.serial_no(certificate),
        private_key_pem=crypto.private_pem(key),
        certificate_pem=crypto.certificate_pem(certificate),
    )


def _write(path: Path, content: dict[str, Any]) -> None:
    """Replace `path` as a whole; a half-written identity must never be seen."""
    partial = path.with_suffix(".partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, ensure_ascii=False, indent=2)
    partial.replace(path)
