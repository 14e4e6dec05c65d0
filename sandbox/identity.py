"""Who is who in the sandbox: keys, certificates, numbers. Made once, kept in two files, all marked SANDBOX.

`identity.json` is what a merchant gets from the platforms' consoles and is meant for the application under test.
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
from sandbox.alipay import material as alipay_material
from sandbox.alipay.material import AlipaySide
from sandbox.unionpay import material as unionpay_material
from sandbox.unionpay.material import UnionPaySide

MERCHANT_FILE = "identity.json"
PLATFORM_FILE = "platform.json"
APIV3_KEY_LENGTH = 32


class IdentityMissing(Exception):
    """The directory has no sandbox identity yet: run `python -m sandbox init` first."""


@dataclass(frozen=True, kw_only=True)
class SubMerchant:
    """A merchant for whom a service provider acts, in partner mode."""

    sub_mchid: str
    sub_appid: str


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
    sub_merchants: tuple[SubMerchant, ...] = ()

    @property
    def public_key(self) -> rsa.RSAPublicKey:
        return crypto.certificate_key(self.certificate_pem)

    @property
    def appids(self) -> frozenset[str]:
        return frozenset({self.appid, *(sub.sub_appid for sub in self.sub_merchants)})

    def sub_merchant(self, sub_mchid: str) -> SubMerchant | None:
        return next((found for found in self.sub_merchants if found.sub_mchid == sub_mchid), None)


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
    alipay: AlipaySide
    unionpay: UnionPaySide

    def merchant(self, mchid: str) -> Merchant | None:
        return next((merchant for merchant in self.merchants if merchant.mchid == mchid), None)

    def merchant_of_app(self, appid: str) -> Merchant | None:
        """Also for the app of a sub-merchant, for whom the provider signs."""
        return next((merchant for merchant in self.merchants if appid in merchant.appids), None)

    def key(self, key_id: str) -> PlatformKey | None:
        return next((key for key in (self.public_key, *self.certificates) if key.key_id == key_id), None)


def make(directory: Path, *, base_url: str, backup_url: str = "") -> Path:
    """Create the identity in `directory`, or find it again; addresses follow the URLs. Returns the merchant's file.

    An identity of an earlier version keeps what it has and gets what it lacks.

    Both files are readable by their owner only.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    merchant_file, platform_file = directory / MERCHANT_FILE, directory / PLATFORM_FILE
    if platform_file.exists() and merchant_file.exists():
        identity, platform = json.loads(merchant_file.read_text()), json.loads(platform_file.read_text())
    else:
        identity, platform = _new_identity(now=datetime.now(UTC))
    if _complete(identity, platform, now=datetime.now(UTC)):
        _write(platform_file, platform)
        load.cache_clear()
    hosts = base_url.rstrip("/"), backup_url.rstrip("/")
    identity["wechatpay"].update(_addresses(*hosts))
    identity["alipay"].update(alipay_material.addresses(*hosts))
    identity["unionpay"].update(unionpay_material.addresses(*hosts))
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
        merchants=tuple(_merchant(entry) for entry in stored["merchants"]),
        alipay=alipay_material.load(stored["alipay"]),
        unionpay=unionpay_material.load(stored["unionpay"]),
    )


def _merchant(stored: dict[str, Any]) -> Merchant:
    return Merchant(**(stored | {"sub_merchants": tuple(SubMerchant(**sub) for sub in stored["sub_merchants"])}))


def _addresses(base_url: str, backup_url: str) -> dict[str, str]:
    return {
        "api_base": base_url,
        "backup_api_base": backup_url,
        "oauth_authorize_url": f"{base_url}/connect/oauth2/authorize",
        "oauth_api_base": base_url,
        "phone_base": f"{base_url}/phone",
    }


def _complete(identity: dict[str, Any], platform: dict[str, Any], *, now: datetime) -> bool:
    """Add the material that is missing. Returns whether there was any."""
    before = len(platform), len(platform["merchants"][0])
    if "alipay" not in platform:
        identity["alipay"], side = alipay_material.new(now=now)
        platform["alipay"] = asdict(side)
    if "unionpay" not in platform:
        identity["unionpay"], own = unionpay_material.new()
        platform["unionpay"] = asdict(own)
    if "sub_merchants" not in platform["merchants"][0]:
        subs = [{"sub_mchid": f"1600{secrets.randbelow(10**6):06d}", "sub_appid": f"wx{secrets.token_hex(8)}"}]
        platform["merchants"][0]["sub_merchants"] = identity["wechatpay"]["sub_merchants"] = subs
    return before != (len(platform), len(platform["merchants"][0]))


def _new_identity(*, now: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
    """WeChat Pay's part, which everything began with: the merchant's half and the platform's."""
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
    public_key = _new_public_key()
    certificates = [_new_platform_certificate(name, now=now) for name in ("current", "next")]
    known = asdict(merchant)
    del known["sub_merchants"]
    platform = {
        "secret": secrets.token_urlsafe(48),
        "control_token": secrets.token_urlsafe(24),
        "public_key": asdict(public_key),
        "certificates": [asdict(key) for key in certificates],
        "merchants": [known],
    }
    half = _merchant_half(merchant, public_key=public_key, current=certificates[0], key=merchant_key)
    return half | {"control_token": platform["control_token"]}, platform


def _merchant_half(
    merchant: Merchant, *, public_key: PlatformKey, current: PlatformKey, key: rsa.RSAPrivateKey
) -> dict[str, Any]:
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
            "platform_public_key_id": public_key.key_id,
            "platform_public_key_pem": crypto.public_pem(public_key.private_key.public_key()),
            "platform_certificate_pem": current.certificate_pem,
            "platform_certificate_serial_no": current.key_id,
        },
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
