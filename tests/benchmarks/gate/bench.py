"""What the gate costs: processor time of one request through it, beside a bare DRF view in the same run.

    python tests/benchmarks/gate/bench.py                 # a markdown table
    python tests/benchmarks/gate/bench.py --seconds 3     # per row; longer is steadier

Processor time of this process alone (`time.process_time`), the best of some windows, so that a busy machine does not
count. The nonce store is replaced by a set in memory, for it costs a round trip and hardly any processor time of ours.
No database is asked: the caches are warm, as in a process that serves.
"""

import argparse
import base64
import os
import secrets
import sys
import time
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT)]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("SECRET_KEY", "x" * 50)

import django  # noqa: E402

django.setup()

from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: E402
from django.core.handlers.wsgi import WSGIRequest  # noqa: E402
from rest_framework.parsers import JSONParser  # noqa: E402
from rest_framework.renderers import JSONRenderer  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from openplatform import keyring, nonces, strictjson  # noqa: E402
from openplatform.api import OpenApiView, checks  # noqa: E402
from openplatform.authorization import parse_authorization  # noqa: E402
from openplatform.key_material import Algorithm  # noqa: E402
from openplatform.keyring import Credential  # noqa: E402
from openplatform.keys import Signer  # noqa: E402
from openplatform.signature import NATIVE_SCHEME, RsaPublicKey, answer_message, request_message, sign_rsa  # noqa: E402
from openplatform.target import check_target  # noqa: E402

APP_ID, SERIAL_NO, PATH = 1234567890123456789, "BENCH_KEY_1", "/openapi/v1/orders"
BODY = (
    '{"out_trade_no":"A20260102000001","amount":"40.30","subject":"两杯咖啡","channel":"wechatpay","method":"jsapi",'
    '"payer":{"openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},"notify_url":"https://shop.example/notify",'
    '"metadata":{"table":"7"}}'
).encode()
ANSWER = {"app_id": str(APP_ID), "order_no": "17", "status": "PAYING", "amount": "40.30", "amount_fen": 4030}
WINDOWS = 7


class Gated(OpenApiView):
    """Does nothing, behind the gate."""

    def post(self, request):
        return Response(ANSWER, status=201)


class Bare(APIView):
    """The same without the gate: no signature, the framework's own JSON."""

    authentication_classes = []
    permission_classes = []
    parser_classes = [JSONParser]
    renderer_classes = [JSONRenderer]

    def post(self, request):
        _ = request.data
        return Response(ANSWER, status=201)


class BareSigning(Bare):
    """The bare view and the least that a signing API needs: one verification and one signature."""

    def post(self, request):
        if not KEYS.public.verifies(message=KEYS.message, signature=KEYS.signature):
            raise ValueError
        sign_rsa(KEYS.platform, KEYS.message)
        return super().post(request)


class Keys:
    """A merchant's pair and ours, and one signed request."""

    def __init__(self):
        self.merchant = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.platform = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.public = RsaPublicKey(self.merchant.public_key())
        self.header, self.message = self.signed()
        self.signature = parse_authorization(self.header).signature

    def signed(self):
        timestamp, nonce = str(int(time.time())), secrets.token_urlsafe(24)
        message = request_message(method="POST", target=PATH, timestamp=timestamp, nonce=nonce, body=BODY)
        header = (
            f'{NATIVE_SCHEME} mchid="{APP_ID}",nonce_str="{nonce}",timestamp="{timestamp}",'
            f'serial_no="{SERIAL_NO}",signature="{sign_rsa(self.merchant, message)}"'
        )
        return header, message


KEYS = Keys()


def warm_up():
    """Put what a serving process has in its caches where the gate finds it, without a database."""
    credential = Credential(
        app_id=APP_ID, merchant_id=1, serial_no=SERIAL_NO, algorithm=Algorithm.RSA_SHA256, public_key=KEYS.public,
        app_is_active=True, accepts_wechatpay_scheme=False,
    )  # fmt: skip
    ours, seen = Signer("BENCH_PLATFORM_KEY", KEYS.platform), set()

    def remember(*, serial_no, nonce):
        name = f"n:{serial_no}:{nonce}"
        is_new = name not in seen
        seen.add(name)
        return is_new

    keyring.find_credential = lambda **_named: credential
    keyring.remember_use = lambda serial_no, *, now: None
    nonces.remember = remember
    checks.signer = lambda **_asked: ours


def environ(header):
    return {
        "REQUEST_METHOD": "POST", "PATH_INFO": PATH, "QUERY_STRING": "", "RAW_URI": PATH, "SERVER_NAME": "localhost",
        "SERVER_PORT": "443", "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(BODY)),
        "HTTP_AUTHORIZATION": header, "wsgi.input": BytesIO(BODY), "wsgi.url_scheme": "https",
    }  # fmt: skip


def through(view, headers, *, expected=201):
    """One request into `view` and its answer rendered; each takes a header of its own, for a nonce counts once."""
    handle, left = view.as_view(), iter(headers)

    def once():
        answer = handle(WSGIRequest(environ(next(left))))
        answer.render()
        if answer.status_code != expected:
            raise RuntimeError(f"{answer.status_code}: {answer.content!r}")

    return once


def parts():
    """The pieces of the gate, each alone."""
    authorization = parse_authorization(KEYS.header)
    answer = b'{"app_id":"1234567890123456789","order_no":"17","status":"PAYING","amount":"40.30","amount_fen":4030}'
    message = answer_message(timestamp="1780000000", nonce=authorization.nonce, body=answer)
    return {
        "target grammar": lambda: check_target(PATH, path=PATH, query_names=frozenset()),
        "parse the header": lambda: parse_authorization(KEYS.header),
        "build the string": lambda: request_message(
            method="POST", target=PATH, timestamp=str(authorization.timestamp), nonce=authorization.nonce, body=BODY
        ),
        "verify RSA-2048": lambda: KEYS.public.verifies(message=KEYS.message, signature=KEYS.signature),
        "strict JSON": lambda: strictjson.loads(BODY),
        "the framework's JSON": lambda: JSONParser().parse(BytesIO(BODY)),
        "sign RSA-2048": lambda: sign_rsa(KEYS.platform, message),
    }


def best_us(once, *, seconds):
    """Processor time of one call in µs: the best of some windows."""
    count = calibrated(once)
    best, ends_at = float("inf"), time.monotonic() + seconds
    for window in range(1_000):
        began = time.process_time()
        for _ in range(count):
            once()
        best = min(best, (time.process_time() - began) / count)
        if time.monotonic() > ends_at and window + 1 >= WINDOWS:
            break
    return best * 1e6


def calibrated(once):
    """How many calls make a window of some 20 ms: the clock of the processor is coarse."""
    began, count = time.process_time(), 0
    while time.process_time() - began < 0.02:
        once()
        count += 1
    return max(count, 1)


def endless(make):
    while True:
        yield make()


def measured(*, seconds):
    """Rows of (name, µs); the bare view comes first and is the measure of all."""
    # Signing what the caller sends is the caller's cost: it is done before the clock is read.
    stock = [KEYS.signed()[0] for _ in range(int(10_000 * max(seconds, 1)))]
    rows = [("a bare DRF APIView", best_us(through(Bare, endless(lambda: "")), seconds=seconds))]
    rows.append(("the same with verify and sign", best_us(through(BareSigning, endless(lambda: "")), seconds=seconds)))
    rows.append(("**through the gate**", best_us(through(Gated, stock), seconds=seconds)))
    refused = through(Gated, endless(bad_header), expected=401)
    rows.append(("refused: wrong signature", best_us(refused, seconds=seconds)))
    old = expired_header()
    rows.append(
        ("refused: old timestamp", best_us(through(Gated, endless(lambda: old), expected=401), seconds=seconds))
    )
    rows += [(f"part: {name}", best_us(once, seconds=seconds)) for name, once in parts().items()]
    return rows


def bad_header():
    signature = base64.b64encode(b"\x01" * 256).decode()
    return f'{KEYS.header.partition("signature=")[0]}signature="{signature}"'


def expired_header():
    then = int((datetime.now(UTC) - timedelta(hours=1)).timestamp())
    return KEYS.header.replace(f'timestamp="{parse_authorization(KEYS.header).timestamp}"', f'timestamp="{then}"')


def show(rows):
    bare = rows[0][1]
    print("| | CPU µs | ratio |\n|---|---:|---:|")
    for name, cost in rows:
        print(f"| {name} | {cost:.1f} | {cost / bare:.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="per row")
    options = parser.parse_args()
    warm_up()
    show(measured(seconds=options.seconds))


if __name__ == "__main__":
    main()
