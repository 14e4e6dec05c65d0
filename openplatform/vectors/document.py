"""The published file, docs/vectors.json. Its keys are its only input; all the rest comes out the same each time."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from django.conf import settings

from openplatform.vectors import build
from openplatform.vectors.build import Parts, authorization, parameters, vector
from openplatform.vectors.envelopes import envelopes
from openplatform.vectors.keys import WARNING, VectorKey, keys_of

VECTORS_FILE = settings.BASE_DIR / "docs" / "vectors.json"
ABOUT = [
    "Vectors for clients of fenpay's open API. Made by `manage.py signature_vectors --write`; the keys are its input.",
    WARNING,
    "The string of a request: METHOD LF TARGET LF TIMESTAMP LF NONCE LF BODY LF.",
    "The string of an answer and of a notification: TIMESTAMP LF NONCE LF BODY LF.",
    "LF is the one byte 0a, also after the last line; BODY is the raw bytes, none for a GET.",
    "`message` is the string as the receiver builds it from `input`; where text and hex could differ, hex counts.",
    "`valid`: whether `signature` must be accepted for `message` with the key that `key` names.",
    "`signed_instead`, where there is one, is what a client signed by mistake.",
    "FENPAY-SHA256-RSA2048 is RSASSA-PKCS1-v1_5 with SHA-256, in base64 with padding (RFC 4648, section 4).",
    'FENPAY-ED25519 is Ed25519 over the string itself, not over a hash of it (RFC 8032, "pure"), in the same base64.',
    "`envelopes` are JWE in compact form (RFC 7516): RSA-OAEP-256 and A256GCM. What is valid tells what is inside.",
    "`direction`: to_platform is `payer` of an order, from the app that `iss` names; to_merchant is what we encrypt.",
    "Encrypting draws lots, so your token of the same content is another one. Compare what is inside.",
    "`malformed_headers` must be refused for their form alone, before any key is looked up.",
]
CREATE = (
    '{"out_trade_no":"A20260102000001","amount":"40.30","subject":"两杯咖啡","channel":"wechatpay","method":"native"}'
)
ESCAPED = (
    r'{"out_trade_no":"A20260102000002","amount":40.3,"subject":"\u4e24\u676f\u5496\u5561 \"\/\" \ud83d\ude00",'
    r'"channel":"wechatpay","method":"native"}'
)
SPACED = (
    '{\n  "out_trade_no": "A20260102000003",\n  "amount": "40.30",\n  "subject": "coffee",\n'
    '  "channel": "wechatpay",\n  "method": "native"\n}\n'
)
POST = Parts(method="POST", target="/openapi/v1/orders", body=CREATE.encode())
GET = Parts(method="GET", target="/openapi/v1/notifications?status=held&limit=5")
CLOSE = Parts(method="POST", target="/openapi/v1/orders/1234567890123456789/close")
ANSWER = Parts(body=b'{"app_id":"1234567890123456789","order_no":"17","status":"PAYING"}')
NOTIFICATION = Parts(
    nonce="vectors-notification-0001",
    body=(
        '{"event_id":"5","type":"order.succeeded","created_at":"2026-05-28T20:26:40Z","object_version":3,'
        '"app_id":"1234567890123456789","data":{"order_no":"17","amount_fen":4030,"subject":"两杯咖啡"}}'
    ).encode(),
)


def document(published: Mapping[str, Any]) -> dict[str, Any]:
    """The whole file. `published` is the file as it is, {} when there is none yet."""
    keys = keys_of(published)
    made = [*_requests(keys), *_bad_requests(keys), *_ours(keys), *_bad_ours(keys), *_ed25519(keys)]
    return {
        "about": ABOUT,
        "keys": [key.shown() for key in keys.values()],
        "vectors": made,
        "envelopes": envelopes(keys, published),
        "malformed_headers": list(_malformed(keys["merchant"])),
    }


def rendered(published: Mapping[str, Any]) -> str:
    return json.dumps(document(published), ensure_ascii=False, indent=1) + "\n"


def _requests(keys: Mapping[str, VectorKey]) -> Iterator[dict[str, Any]]:
    for name, parts in (
        ("request-post-utf8", POST),
        ("request-post-escapes", replace(POST, body=ESCAPED.encode())),
        ("request-post-spaces-and-line-ends", replace(POST, body=SPACED.encode())),
        ("request-post-empty-body", CLOSE),
        ("request-post-sandbox-prefix", replace(POST, target="/sandbox/openapi/v1/orders")),
        ("request-get-query", GET),
        ("request-get", replace(GET, target="/openapi/v1/orders/out-trade-no/A20260102000001")),
    ):
        yield vector(name, "request", keys["merchant"], parts)


def _bad_requests(keys: Mapping[str, VectorKey]) -> Iterator[dict[str, Any]]:
    merchant, message, reordered = keys["merchant"], POST.message(), json.loads(CREATE)
    head, body = message[: -len(POST.body) - 1], POST.body
    instead: dict[str, tuple[Parts, bytes, str]] = {
        "no-last-lf": (POST, message[:-1], "the LF after the body is missing"),
        "no-empty-line": (GET, GET.message()[:-1], "a GET's string ends with the empty line of its empty body"),
        "crlf": (POST, message.replace(b"\n", b"\r\n"), "lines end with CR LF"),
        "path-without-query": (GET, replace(GET, target=GET.target.partition("?")[0]).message(),
                               "the query was not signed"),
        "query-escaped": (GET, replace(GET, target=GET.target.replace("=", "%3D")).message(),
                          "the query was escaped before it was signed"),
        "whole-url": (POST, message.replace(b"/openapi", b"https://pay.example.com/openapi"),
                      "scheme and host were signed"),
        "small-method": (POST, message.replace(b"POST", b"post"), "the method is in small letters"),
        "body-reserialised": (POST, head + json.dumps(reordered, ensure_ascii=False).encode() + b"\n",
                              "the JSON was written twice, with other spaces"),
        "body-sorted": (POST, head + _compact(dict(sorted(reordered.items()))) + b"\n",
                        "the JSON was written twice, in another order"),
        "body-escaped": (POST, head + json.dumps(reordered, separators=(",", ":")).encode() + b"\n",
                         "the JSON was written twice, with other escapes"),
        "body-with-bom": (POST, head + b"\xef\xbb\xbf" + body + b"\n", "a byte order mark was signed"),
        "body-of-a-get": (GET, GET.message()[:-1] + b"{}\n", "a GET has no body, and {} is one"),
        "body-left-out": (POST, head + b"\n", "the body was not signed"),
        "timestamp-and-nonce-swapped": (POST, replace(POST, timestamp=POST.nonce, nonce=POST.timestamp).message(),
                                        "timestamp and nonce stand in the wrong order"),
        "answer-string": (POST, replace(POST, method="").message(), "the three-line string of an answer was signed"),
    }  # fmt: skip
    for name, (parts, signed, reason) in instead.items():
        yield vector(f"request-{name}", "request", merchant, parts, reason=reason, signed_instead=signed)
    yield vector("request-body-changed", "request", merchant, replace(POST, body=body.replace(b"40.30", b"00.30")),
                 reason="the body was changed on the way", signed_instead=message)  # fmt: skip
    yield vector("request-sandbox-replayed", "request", merchant, POST, reason="it was signed for a test platform",
                 signed_instead=replace(POST, target=f"/sandbox{POST.target}").message())  # fmt: skip
    yield from _bad_signatures("request", merchant, POST, stranger=keys["stranger"])


def _bad_signatures(kind: str, key: VectorKey, parts: Parts, *, stranger: VectorKey) -> Iterator[dict[str, Any]]:
    for name, sign, reason in (
        ("sha1", build.with_sha1, "signed with SHA-1"),
        ("pss", build.with_pss, "signed with RSASSA-PSS"),
        ("bit-turned", build.with_a_bit_turned, "one bit of the signature is wrong"),
        ("byte-short", build.a_byte_short, "the last byte of the signature is missing"),
        ("byte-long", build.a_byte_long, "a zero byte stands before the signature"),
    ):
        yield vector(f"{kind}-{name}", kind, key, parts, reason=reason, sign=sign)
    by_another = build.with_key(stranger)
    yield vector(f"{kind}-strangers-key", kind, key, parts, reason="signed with another key", sign=by_another)


def _ours(keys: Mapping[str, VectorKey]) -> Iterator[dict[str, Any]]:
    platform = keys["platform"]
    yield vector("answer", "answer", platform, ANSWER)
    yield vector("answer-empty-body", "answer", platform, replace(ANSWER, body=b""))
    yield vector("notification", "notification", platform, NOTIFICATION)


def _bad_ours(keys: Mapping[str, VectorKey]) -> Iterator[dict[str, Any]]:
    platform = keys["platform"]
    reserialised = json.dumps(json.loads(NOTIFICATION.body), ensure_ascii=False).encode()
    for kind, name, parts, signed, reason in (
        ("answer", "other-nonce", replace(ANSWER, nonce="vectors-nonce-of-another"), ANSWER,
         "it is the answer to another request: its nonce was exchanged"),
        ("answer", "other-time", replace(ANSWER, timestamp="1780000600"), ANSWER, "its timestamp was renewed"),
        ("answer", "body-changed", replace(ANSWER, body=ANSWER.body.replace(b"PAYING", b"CLOSED")), ANSWER,
         "its body was changed on the way"),
        ("notification", "body-changed", replace(NOTIFICATION, body=NOTIFICATION.body.replace(b"4030", b"4031")),
         NOTIFICATION, "its body was changed on the way"),
        ("notification", "body-reserialised", replace(NOTIFICATION, body=reserialised), NOTIFICATION,
         "it was verified over JSON that was parsed and written again, not over the raw bytes"),
    ):  # fmt: skip
        yield vector(f"{kind}-{name}", kind, platform, parts, reason=reason, signed_instead=signed.message())
    yield from _bad_signatures("answer", platform, ANSWER, stranger=keys["stranger"])
    yield from _bad_signatures("notification", platform, NOTIFICATION, stranger=keys["merchant"])


def _ed25519(keys: Mapping[str, VectorKey]) -> Iterator[dict[str, Any]]:
    """The strings are those of RSA; what differs is how they are signed."""
    merchant, platform, stranger = (keys[f"{name}-ed25519"] for name in ("merchant", "platform", "stranger"))
    for kind, key, name, parts, rsa_key in (
        ("request", merchant, "request-ed25519", POST, keys["merchant"]),
        ("answer", platform, "answer-ed25519", ANSWER, keys["platform"]),
        ("notification", platform, "notification-ed25519", NOTIFICATION, keys["platform"]),
    ):
        yield vector(name, kind, key, parts)
        for fault, sign, reason in (
            ("hashed-first", build.hashed_first, "the SHA-512 of the string was signed, not the string"),
            ("not-reduced", build.not_reduced, "its second half is not below the order of the group"),
            ("bit-turned", build.with_a_bit_turned, "one bit of the signature is wrong"),
            ("byte-short", build.a_byte_short, "the last byte of the signature is missing"),
            ("byte-long", build.a_byte_long, "a zero byte stands before the signature"),
            ("strangers-key", build.with_key(stranger), "signed with another key"),
            ("rsa-signature", build.with_key(rsa_key), "an RSA signature under the name of an Ed25519 key"),
        ):
            yield vector(f"{name}-{fault}", kind, key, parts, reason=reason, sign=sign)
        by_ed25519 = build.with_key(key)
        yield vector(f"{kind}-ed25519-under-rsa-key", kind, rsa_key, parts, sign=by_ed25519,
                     reason="an Ed25519 signature under the name of an RSA key")  # fmt: skip
    yield vector("request-ed25519-get", "request", merchant, GET)
    yield vector("request-ed25519-empty-body", "request", merchant, CLOSE)
    yield vector("request-ed25519-body-changed", "request", merchant,
                 replace(POST, body=POST.body.replace(b"40.30", b"00.30")), reason="the body was changed on the way",
                 signed_instead=POST.message())  # fmt: skip


def _malformed(merchant: VectorKey) -> Iterator[dict[str, str]]:
    """From the good header of the first vector, one thing wrong in each."""
    signature = build.right(merchant, POST.message())
    good = parameters(merchant, POST, signature)
    header = authorization(good)
    for reason, text in (
        ("a parameter is missing", authorization({name: good[name] for name in good if name != "serial_no"})),
        ("a parameter stands twice", f'{header},nonce_str="{POST.nonce}"'),
        ("there is a sixth parameter", f'{header},version="1"'),
        ("spaces after the commas", header.replace('",', '", ')),
        ("single quotes", header.replace('"', "'")),
        ("the scheme in small letters", authorization(good, scheme="fenpay-sha256-rsa2048")),
        ("two headers in one", f"{header},{header}"),
        ("the nonce is shorter than 16 characters", authorization(good | {"nonce_str": "0123456789abcde"})),
        ("the nonce has a character that nonces have not", authorization(good | {"nonce_str": f"{POST.nonce}+"})),
        ("the timestamp is in milliseconds", authorization(good | {"timestamp": f"{POST.timestamp}000"})),
        ("the app id has a leading zero", authorization(good | {"mchid": f"0{build.APP_ID[1:]}"})),
        ("the signature is in base64url", authorization(good | {"signature": _urlsafe(signature)})),
        ("the signature has no padding", authorization(good | {"signature": signature.rstrip("=")})),
        ("the signature is empty", authorization(good | {"signature": ""})),
    ):
        yield {"reason": reason, "header": text}


def _urlsafe(signature: str) -> str:
    return signature.replace("+", "-").replace("/", "_")


def _compact(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
