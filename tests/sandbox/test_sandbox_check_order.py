"""The checks before any business: each has its status, code and message, and they come in the recorded order."""

import base64
import time
from typing import Any

import pytest
import requests

from tests.sandbox.callers import Caller, new_number

CERTIFICATES = "/v3/certificates"
REFUNDS = "/v3/refund/domestic/refunds"
JSAPI = "/v3/pay/transactions/jsapi"

HEADERS_MISSING = "Http头缺少Accept或User-Agent"
FORMAT_WRONG = "Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》"
FORMAT_WRONG_PAY = "签名信息错误，验签失败"
TIMESTAMP_WRONG = "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟"
SERIAL_WRONG = "商户证书序列号有误。请使用签名私钥匹配的证书序列号"


def told(answer: requests.Response) -> tuple[int, str, str]:
    return answer.status_code, answer.json()["code"], answer.json()["message"]


@pytest.mark.parametrize("target", ["/", "/v3", "/v3/pay/transactions/unheard-of", "/v3/pay/transactions/jsapi/"])
def test_1_an_unknown_path_is_404_with_an_empty_body(caller: Caller, target: str) -> None:
    answer = caller.send("POST", target, caller.order(), headers={"Authorization": None})
    assert (answer.status_code, answer.content) == (404, b"")


def test_2_a_wrong_method_is_405_with_an_empty_body_even_without_a_signature(caller: Caller) -> None:
    answer = caller.send("GET", JSAPI, headers={"Authorization": None, "Accept": None})
    assert (answer.status_code, answer.content) == (405, b"")


@pytest.mark.parametrize("missing", ["Accept", "User-Agent"])
@pytest.mark.parametrize("target", [CERTIFICATES, f"{REFUNDS}/R1"])
def test_3_missing_headers_come_before_a_missing_signature(caller: Caller, missing: str, target: str) -> None:
    answer = caller.send("GET", target, headers={missing: None, "Authorization": None})
    assert told(answer) == (400, "INVALID_REQUEST", HEADERS_MISSING)


def test_3_an_accept_that_excludes_json_is_as_good_as_none(caller: Caller) -> None:
    assert told(caller.send("GET", CERTIFICATES, headers={"Accept": "text/html"}))[2] == HEADERS_MISSING


def broken(authorization: str, how: str) -> str | None:
    return {
        "absent": None,
        "no scheme": authorization.partition(" ")[2],
        "blanks after commas": authorization.replace(",", ", "),
        "two blanks": authorization.replace(" ", "  ", 1),
        "a part twice": authorization + ',mchid="1"',
        "a part missing": authorization.replace("nonce_str=", "nonce="),
        "no quotes": authorization.replace('"', ""),
        "timestamp with a dot": authorization.replace('timestamp="', 'timestamp="1.'),
        "nonce too long": authorization.replace('nonce_str="', 'nonce_str="' + "N" * 32),
    }[how]


BROKEN = [
    "absent",
    "no scheme",
    "blanks after commas",
    "two blanks",
    "a part twice",
    "a part missing",
    "no quotes",
    "timestamp with a dot",
    "nonce too long",
]


@pytest.mark.parametrize("how", BROKEN)
def test_4_a_malformed_authorization_is_named_as_such(caller: Caller, how: str) -> None:
    header = broken(caller.authorization("GET", CERTIFICATES, b""), how)
    answer = caller.send("GET", CERTIFICATES, headers={"Authorization": header})
    expected = "Http头Authorization认证类型不正确" if how == "no scheme" else FORMAT_WRONG
    assert told(answer) == (401, "SIGN_ERROR", expected)


@pytest.mark.parametrize("how", BROKEN)
def test_4b_on_the_pay_paths_the_message_is_another(caller: Caller, how: str) -> None:
    header = broken(caller.authorization("POST", JSAPI, b"{}"), how)
    answer = caller.send("POST", JSAPI, b"{}", headers={"Authorization": header})
    assert told(answer) == (401, "SIGN_ERROR", FORMAT_WRONG_PAY)


def test_the_parts_of_the_authorization_may_come_in_any_order(caller: Caller) -> None:
    scheme, _, parts = caller.authorization("GET", CERTIFICATES, b"").partition(" ")
    reversed_header = f"{scheme} {','.join(reversed(parts.split(',')))}"
    assert caller.send("GET", CERTIFICATES, headers={"Authorization": reversed_header}).status_code == 200


@pytest.mark.parametrize("off_s", [-302, 302])
def test_5_a_stale_timestamp_is_told_before_serial_and_signature(caller: Caller, off_s: int) -> None:
    answer = caller.create(timestamp=str(int(time.time()) + off_s), signature="AAAA", serial_no="F" * 40)
    assert told(answer) == (401, "SIGN_ERROR", TIMESTAMP_WRONG)


@pytest.mark.parametrize("off_s", [-295, 295])
def test_5_within_five_minutes_is_fresh(caller: Caller, off_s: int) -> None:
    assert caller.create(timestamp=str(int(time.time()) + off_s)).status_code == 200


def test_5_a_skewed_server_clock_refuses_right_timestamps(caller: Caller) -> None:
    caller.sandbox.control.options(clock_skew_s=600)
    assert told(caller.create()) == (401, "SIGN_ERROR", TIMESTAMP_WRONG)


@pytest.mark.parametrize("changes", [{"serial_no": "F" * 40}, {"mchid": "1900000000"}])
def test_6_an_unknown_serial_is_told_before_the_signature(caller: Caller, changes: dict[str, str]) -> None:
    assert told(caller.create(signature="AAAA", **changes)) == (401, "SIGN_ERROR", SERIAL_WRONG)


def test_7_a_wrong_signature_is_answered_with_what_the_server_signed(caller: Caller) -> None:
    body = b'{"amount":{"total":1}}'
    answer = caller.send("POST", JSAPI, body, nonce_str="NONCE", timestamp="1", signature="AAAA")
    assert told(answer)[2] == TIMESTAMP_WRONG
    now = str(int(time.time()))
    answer = caller.send("POST", JSAPI, body, nonce_str="NONCE", timestamp=now, signature="AAAA")
    assert told(answer) == (401, "SIGN_ERROR", "签名错误")
    detail = answer.json()["detail"]
    assert detail == {
        "detail": {"issue": "sign not match"},
        "field": "signature",
        "location": "authorization",
        "sign_information": {
            "method": "POST",
            "url": JSAPI,
            "truncated_sign_message": f'POST\n{JSAPI}\n{now}\nNONCE\n{{"amount\n',
            "sign_message_length": len(f"POST\n{JSAPI}\n{now}\nNONCE\n") + len(body) + 1,
        },
    }


def changed_body(caller: Caller) -> requests.Response:
    header = caller.authorization("POST", JSAPI, b'{"a":1}')
    return caller.send("POST", JSAPI, b'{"a": 1}', headers={"Authorization": header})


def changed_target(caller: Caller) -> requests.Response:
    header = caller.authorization("GET", "/v3/pay/transactions/out-trade-no/P00001?mchid=1", b"")
    return caller.query("P00001", headers={"Authorization": header})


def another_method(caller: Caller) -> requests.Response:
    header = caller.authorization("GET", JSAPI, b"{}")
    return caller.send("POST", JSAPI, b"{}", headers={"Authorization": header})


def a_probe(caller: Caller) -> requests.Response:
    return caller.create(signature=base64.b64encode(b"x" * 256).decode())


@pytest.mark.parametrize("attempt", [changed_body, changed_target, another_method, a_probe])
def test_7_the_signature_is_over_method_raw_target_and_raw_body(caller: Caller, attempt: Any) -> None:
    assert told(attempt(caller))[2] == "签名错误"


def test_7_the_target_is_taken_as_it_travelled_not_as_it_is_decoded(caller: Caller) -> None:
    number = new_number("P|*")
    caller.create(caller.order(out_trade_no=number))
    mchid = caller.identity["mchid"]
    encoded = f"/v3/pay/transactions/out-trade-no/{number.replace('|', '%7C')}?mchid={mchid}"
    assert caller.send("GET", encoded).json()["out_trade_no"] == number
    signed_decoded = caller.authorization("GET", encoded.replace("%7C", "|"), b"")
    answer = caller.send("GET", encoded, headers={"Authorization": signed_decoded})
    assert told(answer)[2] == "签名错误"


def test_an_unknown_platform_serial_is_refused(caller: Caller) -> None:
    answer = caller.create(headers={"Wechatpay-Serial": "PUB_KEY_ID_0000"})
    assert told(answer) == (400, "PARAM_ERROR", "平台证书序列号Wechatpay-Serial错误")


def test_a_body_of_another_content_type_is_refused(caller: Caller) -> None:
    answer = caller.create(headers={"Content-Type": "text/plain"})
    assert told(answer)[:2] == (400, "INVALID_REQUEST")


def test_8_another_mchid_in_the_body_is_told_before_field_rules(caller: Caller) -> None:
    answer = caller.create(caller.order(mchid="1900000000", description=""))
    assert told(answer) == (400, "PARAM_ERROR", "http header中的mchid与post payload中的mchid不匹配")


def test_8_a_query_needs_its_mchid_and_ours(caller: Caller) -> None:
    target = "/v3/pay/transactions/out-trade-no/P000001"
    answer = caller.send("GET", target)
    assert answer.json() == {
        "code": "PARAM_ERROR",
        "message": "输入源“/uri_template/mchid”映射到字段“直连商户号”必填性规则校验失败，此字段为必填项",
        "detail": {"location": "uri_template", "value": ""},
    }
    assert told(caller.send("GET", f"{target}?mchid=1900000000"))[:2] == (400, "PARAM_ERROR")
    ours = caller.identity["mchid"]
    assert told(caller.send("GET", f"{target}?mchid={ours}&more=1"))[:2] == (400, "PARAM_ERROR")
    assert told(caller.send("GET", f"{target}?mchid={ours}&mchid={ours}"))[:2] == (400, "PARAM_ERROR")


def test_9_field_rules_come_before_business(caller: Caller) -> None:
    answer = caller.create(caller.order(fen=0, appid="wx0000000000000000"))
    assert told(answer)[1:] == (
        "PARAM_ERROR",
        "输入源“/body/amount/total”映射到数值字段“总金额”规则校验失败，值低于最小值 1",
    )


def test_10_business_comes_last(caller: Caller) -> None:
    assert told(caller.query("P0000404")) == (404, "ORDER_NOT_EXIST", "订单不存在")


def test_refused_calls_are_in_the_log_and_were_not_executed(caller: Caller) -> None:
    answer = caller.create(signature="AAAA")
    logged = caller.sandbox.control.calls(request_id=answer.headers["Request-ID"])
    assert [(call["status"], call["code"], call["executed"]) for call in logged] == [(401, "SIGN_ERROR", False)]
    assert caller.sandbox.control.get("orders") == []
