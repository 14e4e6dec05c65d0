"""What was pasted: read strictly, bounded in size, and refused unread when it looks like a private key."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any

from rest_framework import serializers

from openplatform.key_material import PrivateKeyPasted
from openplatform.serializers import StrictSerializer
from openplatform.signature import NATIVE_SCHEME

VALUE_LENGTH_MAX = 140_000  # 64 KiB in hex, and some line ends
FORMS = ("text", "hex", "base64")
_BASE64_RUN = re.compile(rb"(?=(M[A-Z][A-Za-z0-9+/_-]{58}))")  # an ASN.1 sequence in base64 begins with M
# An ASN.1 sequence that begins with a small version number: PKCS #8, PKCS #1 and SEC 1 private keys, and no public key.
_PRIVATE_DER = re.compile(rb"\x30(?:[\x00-\x7f]|\x81.|\x82..|\x83...)\x02\x01[\x00\x01][\x02\x04\x30]", re.DOTALL)

_FIELDS = {
    "mchid": "app_id", "nonce_str": "nonce", "timestamp": "timestamp", "serial_no": "serial_no",
    "signature": "signature",
}  # fmt: skip


class _Bytes(StrictSerializer):
    """Bytes as text in UTF-8, or in hex or base64: a text field in a browser turns CR LF into LF."""

    form = serializers.ChoiceField(FORMS)
    value = serializers.CharField(allow_blank=True, trim_whitespace=False, max_length=VALUE_LENGTH_MAX)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"raw": _decoded(attrs["value"], form=attrs["form"])}
        except (ValueError, binascii.Error) as error:
            raise serializers.ValidationError({"value": f"is not {attrs['form']}"}) from error


def _line(length: int) -> serializers.CharField:
    return serializers.CharField(required=False, default="", allow_blank=True, max_length=length)


class AskedSerializer(StrictSerializer):
    """The pasted request: with its Authorization header, or with the values that would stand in it."""

    method = _line(20)
    target = _line(4_096)
    authorization = _line(4_096)
    app_id = _line(40)
    serial_no = _line(80)
    timestamp = _line(40)
    nonce = _line(80)
    signature = _line(2_048)
    body = _Bytes(required=False)
    own = _Bytes(required=False)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """`parameters` are those of the header, well formed or not, or the values that were named instead of a header;
    `own` is the integrator's own string, if any.
    """

    method: str
    target: str
    header: str
    parameters: dict[str, str]
    body: bytes
    own: bytes | None


def read(document: dict[str, Any]) -> Asked:
    """Raises the framework's ValidationError, and PrivateKeyPasted before anything else is said about the text."""
    refuse_private_keys(document)
    serializer = AskedSerializer(data=document)
    serializer.is_valid(raise_exception=True)
    data = serializer.validated_data
    raw = {name: data[name]["raw"] for name in ("body", "own") if name in data}
    refuse_private_keys(raw)
    header, parameters = _header(data)
    return Asked(
        method=data["method"].upper() or "GET", target=data["target"], header=header, parameters=parameters,
        body=raw.get("body", b""), own=raw.get("own") or None,
    )  # fmt: skip


def refuse_private_keys(value: Any) -> None:
    """Raises PrivateKeyPasted for text or bytes, anywhere in `value`, that look like a private key in a usual form."""
    if isinstance(value, dict):
        for item in value.values():
            refuse_private_keys(item)
    elif isinstance(value, str | bytes):
        raw = value.encode("utf-8", errors="replace") if isinstance(value, str) else value
        if _is_private(raw):
            raise PrivateKeyPasted


def _is_private(raw: bytes) -> bool:
    if b"PRIVATE KEY" in raw.upper() or (b'"kty"' in raw and b'"d"' in raw) or _PRIVATE_DER.match(raw):
        return True
    # Without its frame a key is one long run of base64, also when it came in lines; or the same bytes in hex.
    joined = b"".join(raw.split())
    return any(_PRIVATE_DER.match(_loosely(run)) for run in _BASE64_RUN.findall(joined)) or bool(
        _PRIVATE_DER.match(_from_hex(joined))
    )


def _loosely(run: bytes) -> bytes:
    """The first bytes of a run of base64 or base64url."""
    return base64.urlsafe_b64decode(run[:40].replace(b"+", b"-").replace(b"/", b"_"))


def _from_hex(text: bytes) -> bytes:
    try:
        return bytes.fromhex(text[:64].decode("ascii"))
    except ValueError:
        return b""


def _header(data: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """The header as it was pasted, without its name, and what is in it; or put together from the values."""
    pasted = re.sub(r"^authorization:\s*", "", data["authorization"], flags=re.IGNORECASE)
    if pasted:
        return pasted, dict(re.findall(r'([a-z_]+)\s*=\s*"([^"]*)"', pasted))
    values = {name: data[field] for name, field in _FIELDS.items() if data[field]}
    whole = ",".join(f'{name}="{value}"' for name, value in values.items())
    return (f"{NATIVE_SCHEME} {whole}" if values.keys() == _FIELDS.keys() else ""), values


def _decoded(value: str, *, form: str) -> bytes:
    if form == "text":
        return value.encode()
    joined = "".join(value.split())
    return bytes.fromhex(joined) if form == "hex" else base64.b64decode(joined, validate=True)
