"""WeChat Pay's own certificates: fetched, opened with the APIv3 key, and checked against what they say of themselves.

Source: pay.weixin.qq.com/doc/v3/merchant/4012551764. Whoever has the APIv3 key could make one, so from the second time
on the answer that brings them must be signed under a key that we had before.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from payments.channels import certs
from payments.channels.answers import Reaction, Refusal, UnexpectedAnswer, refused
from payments.channels.base import Accepted, Rejected, TheirCertificate, Unknown
from payments.channels.rsa import NotAuthentic
from payments.channels.wechatpay import signing
from payments.channels.wechatpay.client import Answer, WechatpayClient
from payments.channels.wechatpay.keyring import may_be_fetched

PATH = "/v3/certificates"
COUNT_MAX = 20
_REACTIONS = {"RESOURCE_NOT_EXISTS": Reaction.NOT_FOUND, "NO_AUTH": Reaction.REJECTED, "SIGN_ERROR": Reaction.REJECTED}


def fetch(client: WechatpayClient, *, now: datetime) -> Accepted[tuple[TheirCertificate, ...]] | Rejected | Unknown:
    """What they publish now. A merchant that only has their public key has none, which is no error."""
    reply = client.exchange(method="GET", target=PATH, now=now)
    if isinstance(reply, Unknown):
        return reply
    try:
        found = read(reply.body, api_key=client.config.secrets["apiv3_key"]) if reply.status == 200 else ()
    except UnexpectedAnswer as error:
        return Unknown(reason=str(error))
    except NotAuthentic as error:
        return Unknown(reason=f"{error}: is it the right APIv3 key?")
    # At the first start the answer itself brings the key that it is signed under.
    is_first = not client.keyring.fetched(now=now)
    brought = {one.serial: one.pem for one in found if is_first and one.not_before <= now < one.not_after}
    answer = client.read(reply, reactions=_REACTIONS, now=now, brought=brought)
    if isinstance(answer, Refusal) and answer.reaction is Reaction.NOT_FOUND:
        return Accepted(facts=())
    return Accepted(facts=found) if isinstance(answer, Answer) else refused(answer)


def read(body: bytes, *, api_key: str) -> tuple[TheirCertificate, ...]:
    """The certificates in an answer. Raises UnexpectedAnswer or NotAuthentic; one that is wrong is one too
    many to believe the others.
    """
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnexpectedAnswer("no JSON") from error
    entries = fields.get("data") if isinstance(fields, dict) else None
    if not isinstance(entries, list) or len(entries) > COUNT_MAX:
        raise UnexpectedAnswer("no list of certificates")
    return tuple(_certificate(entry, api_key=api_key) for entry in entries)


def _certificate(entry: Any, *, api_key: str) -> TheirCertificate:
    sealed = entry.get("encrypt_certificate") if isinstance(entry, dict) else None
    if not isinstance(sealed, Mapping):
        raise UnexpectedAnswer("no encrypt_certificate")
    pem = signing.open_resource(sealed, api_key=api_key).decode("ascii", "replace")
    found = certs.read_all(pem)
    if len(found) != 1:
        raise UnexpectedAnswer("not one certificate")
    certificate, serial = found[0], str(entry.get("serial_no"))
    if not may_be_fetched(serial) or int(serial, 16) != certificate.serial_number:
        raise UnexpectedAnswer("another serial number than the certificate's own")
    try:
        certs.rsa_key(certificate)
    except ValueError as error:
        raise UnexpectedAnswer(str(error)) from error
    return TheirCertificate(
        serial=serial, pem=pem, not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )  # fmt: skip
