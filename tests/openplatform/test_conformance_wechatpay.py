"""The kit in WeChat Pay's envelope: a good program passes, each fault is found, and a known package is judged."""

import base64
import json
import re

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.core.management import call_command
from wechatpayv3 import WeChatPay, WeChatPayType

from openplatform.conformance.cases import CASES, Expected
from openplatform.conformance.run import shape_of
from openplatform.models import ConformanceRun
from tests.openplatform import harness
from tests.openplatform.face_shops import FaceShop, ProgramOfTheirs
from tests.openplatform.kit import NATIVE, WECHATPAY, in_a_hurry, its_host, run_against, those
from tests.openplatform.merchants import answers
from tests.openplatform.notices import app, owed, serve

pytestmark = pytest.mark.django_db
__all__ = ["app", "in_a_hurry", "serve"]
NAMES = {case.name for case in CASES[WECHATPAY]}
REFUSED = {case.name for case in CASES[WECHATPAY] if case.expected == Expected.REFUSED}
FORGED = {"one_bit", "body_changed", "other_key", "unknown_serial", "sign_test"}
UNREADABLE = {"tampered_ciphertext", "other_associated_data", "other_apiv3_key"}
APPID = "wx0000000000000001"


@pytest.fixture
def api_key(app):
    return app.open_wechatpay_face()


def told_once(app, url):
    """The app was told a payment before, so that its appid is known."""
    resource = {"appid": APPID, "mchid": str(app.pk), "out_trade_no": "A1"}
    data = {"event_type": "TRANSACTION.SUCCESS", "summary": "x", "original_type": "transaction", "resource": resource}
    return owed(app, url, data=data, shape=WECHATPAY)


def opened(request, api_key):
    resource = request.document["resource"]
    sealed = base64.b64decode(resource["ciphertext"])
    plain = AESGCM(api_key.encode()).decrypt(resource["nonce"].encode(), sealed, resource["associated_data"].encode())
    return json.loads(plain)


@pytest.mark.parametrize(
    ("fault", "failed", "warned"),
    [
        ("", set(), set()),
        ("signature", FORGED, {"repeated_header"}),
        ("unsigned", {"missing_headers"}, set()),
        ("past", {"replayed_old"}, set()),
        ("future", {"from_the_future"}, set()),
        ("first header", set(), {"repeated_header"}),
        ("number", set(), {"garbage_timestamp"}),
        ("base64", set(), {"garbage_signature"}),
        ("app", {"wrong_app"}, set()),
        ("amount", {"wrong_amount"}, set()),
        ("acknowledges", UNREADABLE, set()),
        ("crashes on tags", set(), UNREADABLE),
        ("refunds", {"refund_event"}, set()),
        ("content-type", {"content_types"}, set()),
        ("size", set(), {"large"}),
    ],
)
def test_each_fault_is_found_and_nothing_else(app, api_key, serve, platform_key, settings, fault, failed, warned):
    server = serve(answers(200))
    told_once(app, server.url)
    FaceShop(
        server, pem=platform_key.public_key_pem, app_id=app.pk, api_key=api_key, appid=APPID, fault=fault
    )  # fmt: skip
    settings.NOTIFICATION_TIMEOUT_S = 10.0
    done, found = run_against(server.url, app, shape=WECHATPAY)
    slow = {case for case, (_grade, finding) in found.items() if finding == "slow_answer"}
    assert those(found, "fail") == failed
    assert those(found, "warn") - slow == warned
    assert (set(found), done.shape) == (NAMES, "wechatpay")


def test_who_believes_everything_fails_and_who_refuses_everything_is_not_praised(app, api_key, serve):
    _done, found = run_against(serve(answers(200)).url, app, shape=WECHATPAY)
    assert those(found, "fail") == REFUSED - {"repeated_header"}
    _done, found = run_against(serve(answers(401)).url, app, shape=WECHATPAY)
    assert {found[name] for name in REFUSED} == {("warn", "not_judged")}


def test_a_program_with_a_known_package_is_judged(app, api_key, serve, platform_key, settings):
    """`wechatpayv3` 2.0.4 does not look at the timestamp: whoever uses it must."""
    settings.NOTIFICATION_TIMEOUT_S = 10.0
    server = serve(answers(200))
    client = WeChatPay(
        wechatpay_type=WeChatPayType.NATIVE, mchid=str(app.pk), private_key=harness.private_pem(harness.a_key()),
        cert_serial_no="A" * 40, apiv3_key=api_key, appid=APPID, notify_url=server.url,
        public_key=platform_key.public_key_pem, public_key_id=platform_key.serial_no,
    )  # fmt: skip
    ProgramOfTheirs(server, client, app_id=app.pk)
    _done, found = run_against(server.url, app, shape=WECHATPAY)
    assert found["good"] == ("pass", "as_expected")
    assert found["refund_event"] == ("pass", "as_expected")
    assert {found[case] for case in UNREADABLE} == {("pass", "as_expected")}
    assert those(found, "fail") == {"replayed_old", "from_the_future", "garbage_timestamp"}


def test_the_envelope_is_theirs_and_says_that_it_is_a_test_where_a_program_looks(app, api_key, serve):
    server = serve(answers(200))
    told_once(app, server.url)
    run_against(server.url, app, shape=WECHATPAY)
    good = server.requests[0]
    envelope = good.document
    assert {"id", "create_time", "event_type", "resource_type", "summary", "resource"} <= set(envelope)
    assert set(envelope["resource"]) == {"original_type", "algorithm", "ciphertext", "nonce", "associated_data"}
    assert good.headers["Wechatpay-Signature-Type"] == "WECHATPAY2-SHA256-RSA2048"
    plain = opened(good, api_key)
    assert (plain["appid"], plain["mchid"], plain["amount"]["total"]) == (APPID, str(app.pk), 4030)
    assert (plain["test"], envelope["test"], envelope["id"][:5]) == (True, True, "test_")
    assert all(len(request.document["id"]) <= 36 for request in server.requests)
    assert re.fullmatch(r"FENPAYTEST_4030_[0-9]+_[0-9]+", plain["out_trade_no"])
    assert len(plain["out_trade_no"]) <= 32
    assert max(len(request.body) for request in server.requests) < 65_536
    types = {request.document["event_type"] for request in server.requests}
    assert types == {"TRANSACTION.SUCCESS", "REFUND.SUCCESS"}


def test_a_refund_is_told_in_the_words_of_a_refund(app, api_key, serve):
    server = serve(answers(200))
    run_against(server.url, app, shape=WECHATPAY)
    refund = next(each for each in server.requests if each.document["event_type"] == "REFUND.SUCCESS")
    assert refund.document["resource"]["original_type"] == "refund"
    plain = opened(refund, api_key)
    assert (plain["refund_status"], plain["amount"]["refund"], "appid" in plain) == ("SUCCESS", 4030, False)


def test_the_probe_has_the_prefix_that_such_programs_know(app, api_key, serve):
    server = serve(answers(200))
    run_against(server.url, app, shape=WECHATPAY)
    signatures = [request.headers.get("Wechatpay-Signature", "") for request in server.requests]
    probe = next(text for text in signatures if text.startswith("WECHATPAY/SIGNTEST/"))
    assert len(base64.b64decode(probe)) == 256


def test_before_the_first_payment_no_appid_is_known(app, api_key, serve):
    server = serve(answers(200))
    run_against(server.url, app, shape=WECHATPAY)
    assert opened(server.requests[0], api_key)["appid"] == ""


def test_an_app_is_spoken_to_as_it_speaks_unless_somebody_says_otherwise(app, serve, capsys):
    assert shape_of(app) == NATIVE
    app.open_wechatpay_face()
    assert shape_of(app) == WECHATPAY
    server = serve(answers(200))
    its_host(app)
    for arguments, shape in (((), WECHATPAY), (("--shape", "native"), NATIVE)):
        with pytest.raises(SystemExit):
            call_command("conformance", "--app-id", str(app.pk), "--url", server.url, *arguments)
        assert ConformanceRun.objects.latest("pk").shape == shape
    assert "amount.total" in capsys.readouterr().out
