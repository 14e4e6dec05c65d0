"""The Authorization header, by a strict grammar: what is not exactly right is refused before anything is looked up."""

import base64
import binascii
import re
from dataclasses import dataclass

HEADER_LENGTH_MAX = 2_048
_HEADER = re.compile(r'(?P<scheme>[A-Z0-9-]{1,64}) (?P<params>[a-z_]{1,16}="[^"\\]*"(?:,[a-z_]{1,16}="[^"\\]*"){4})')
_PARAM = re.compile(r'([a-z_]+)="([^"\\]*)"')
_GRAMMAR = {
    "mchid": re.compile(r"[1-9][0-9]{15,18}"),
    "timestamp": re.compile(r"[1-9][0-9]{9}"),
    "nonce_str": re.compile(r"[A-Za-z0-9_-]{16,64}"),
    "serial_no": re.compile(r"[A-Za-z0-9_]{8,64}"),
    "signature": re.compile(r"(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"),
}


class AuthorizationMalformed(ValueError):
    """The header does not follow the grammar. The text names the part, never its content."""


@dataclass(frozen=True, kw_only=True)
class Authorization:
    """A header that is well formed; nothing in it is proven yet."""

    scheme: str
    app_id: int
    serial_no: str
    timestamp: int  # seconds since the epoch
    nonce: str
    signature: bytes


def parse_authorization(header: str) -> Authorization:
    """Five parameters, each once, in any order, no spaces. Raises AuthorizationMalformed."""
    match = _HEADER.fullmatch(header) if len(header) <= HEADER_LENGTH_MAX else None
    if match is None:
        raise AuthorizationMalformed('not of the form SCHEME name="value",... with five parameters')
    params = dict(_PARAM.findall(match["params"]))
    if params.keys() != _GRAMMAR.keys():
        raise AuthorizationMalformed("mchid, nonce_str, timestamp, serial_no and signature are wanted, each once")
    for name, grammar in _GRAMMAR.items():
        if not grammar.fullmatch(params[name]):
            raise AuthorizationMalformed(f"{name} is malformed")
    return Authorization(
        scheme=match["scheme"],
        app_id=int(params["mchid"]),
        serial_no=params["serial_no"],
        timestamp=int(params["timestamp"]),
        nonce=params["nonce_str"],
        signature=_strict_base64(params["signature"]),
    )


def _strict_base64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise AuthorizationMalformed("signature is malformed") from error
    if base64.b64encode(raw).decode() != text:
        # Unused low bits may differ: two texts for one signature.
        raise AuthorizationMalformed("signature is malformed")
    return raw
