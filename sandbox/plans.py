"""What can go wrong with a call or a notification, as data.

A `CallPlan` says how one request is treated, a `NoticePlan` how one notification is; the catalogue names the useful
ones. The names are the same for all channels; each renders an error in its own words.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CALLS = frozenset(
    {"create", "barcode", "query", "close", "reverse", "refund", "refund_query", "abnormal_refund"}
    | {"certificates", "bill", "bill_file", "oauth"}
)
NOTICES = frozenset({"notify_payment", "notify_refund"})
ANY = "any"  # every call, never a notification
BILL_ROW_TRICKS = ("missing_row", "extra_row", "amount_differs")
BILL_SIZE_TRICKS = ("bomb",)  # small on the wire, and thousands of times that when it is unpacked
BILL_FORM_TRICKS = ("wrong_hash", "expired_token", "extra_column", "float_count")  # WeChat Pay's files
BILL_ZIP_TRICKS = ("truncated_zip", "utf8", "no_end_marker")  # Alipay's files
_BILL_TRICKS = (*BILL_ROW_TRICKS, *BILL_SIZE_TRICKS, *BILL_FORM_TRICKS, *BILL_ZIP_TRICKS)


@dataclass(frozen=True, kw_only=True)
class CallPlan:
    """How one request is treated. The defaults are an ordinary one. Times in seconds; `pause_s` -1 is the option."""

    executes: bool = True
    executes_after_s: float = 0  # the effect comes late, whether or not the client still waits
    pause_s: float = 0  # after that the answer is held back
    error: str = ""  # the answer is this error instead: a name of wechatpay.errors or alipay.errors
    sign: str = ""  # one of signing.FLAWS: a flaw of the answer's signature
    wire: str = ""  # one of wire.TRICKS: what happens to the bytes
    pays: str = ""  # create: "later" or "before_answer"; close: "after_close" or "before_close"
    settles: str = ""  # refund: SUCCESS, ABNORMAL or CLOSED
    settle_s: float = 0  # refund: after that long; 0 is the option `refund_s`, -1 `stuck_s`
    asks: int = 0  # barcode: so many queries are told that the payer is still busy
    asks_end: str = ""  # barcode: and then it is SUCCESS, PAYERROR or REVOKED
    again: bool = False  # reverse: nothing is done and the answer says to call again (Alipay's retry_flag)
    bill: str = ""  # bill: one of the tricks above


@dataclass(frozen=True, kw_only=True)
class NoticePlan:
    """How one notification is delivered. The defaults are an ordinary one."""

    copies: int = 1  # so many at once, at every attempt
    delay_s: float = 0
    never: bool = False
    after_next: bool = False  # only when a later notification of the same order has been told
    sign: str = ""
    bad_attempts: int = 0  # only the first n carry the flaw; 0: all
    alters: str = ""  # "amount", "mchid", "appid" or "unknown_order": a wrong content, properly signed
    tampers: str = ""  # "ciphertext" or "aad": the resource does not decrypt (WeChat Pay alone encrypts)


ORDINARY_CALL, ORDINARY_NOTICE = CallPlan(), NoticePlan()

CALL_FAULTS: Mapping[str, CallPlan] = {
    "unknown_but_done": CallPlan(error="SYSTEM_ERROR"),
    "unknown_not_done": CallPlan(error="SYSTEM_ERROR", executes=False),
    "timeout_done": CallPlan(error="SYSTEM_ERROR", pause_s=-1),
    "timeout_not_done": CallPlan(error="SYSTEM_ERROR", pause_s=-1, executes=False),
    "late_execution": CallPlan(executes_after_s=3, pause_s=-1),
    "connection_reset": CallPlan(wire="reset"),
    "half_body": CallPlan(wire="half_body"),
    "bad_json": CallPlan(wire="bad_json"),
    "gzip_garbage": CallPlan(wire="gzip_garbage"),
    "huge_body": CallPlan(wire="huge_body", executes=False),
    "redirect_loop": CallPlan(wire="redirect_loop", executes=False),
    "frequency_limited_done": CallPlan(error="FREQUENCY_LIMITED"),
    "frequency_limited_not_done": CallPlan(error="FREQUENCY_LIMITED", executes=False),
    "bad_gateway_html": CallPlan(wire="html_502", executes=False),
    "service_unavailable_html": CallPlan(wire="html_503", executes=False),
    "wrong_signature": CallPlan(sign="wrong"),
    "missing_signature": CallPlan(sign="missing"),
    "stale_timestamp": CallPlan(sign="stale"),
    "unknown_serial": CallPlan(sign="unknown_serial"),
    "signtest_probe": CallPlan(sign="signtest"),
    "error_response": CallPlan(sign="error_response", executes=False),
    "slow_drip": CallPlan(wire="drip"),
    "hang": CallPlan(wire="hang", executes=False),
    "error": CallPlan(error="SYSTEM_ERROR", executes=False),  # params name the error
    "refused": CallPlan(error="RULE_LIMIT", executes=False),
    "not_enough": CallPlan(error="NOT_ENOUGH", executes=False),
    "accepted_without_effect": CallPlan(error="NO_CONTENT", executes=False),  # a close that closes nothing
    "paid_at_once": CallPlan(pays="later"),
    "notify_before_answer": CallPlan(pays="before_answer"),
    "pay_after_close": CallPlan(pays="after_close"),
    "paid_before_close": CallPlan(pays="before_close"),
    "userpaying_then_paid": CallPlan(asks=2, asks_end="SUCCESS"),
    "userpaying_then_failed": CallPlan(asks=2, asks_end="PAYERROR"),
    "userpaying_then_revoked": CallPlan(asks=2, asks_end="REVOKED"),
    "userpaying_for_ever": CallPlan(asks=1_000_000, asks_end="PAYERROR"),
    "call_again": CallPlan(again=True),
    "refund_abnormal": CallPlan(settles="ABNORMAL"),
    "refund_closed": CallPlan(settles="CLOSED"),
    "refund_stuck": CallPlan(settles="SUCCESS", settle_s=-1),
    "bill_not_ready": CallPlan(error="STATEMENT_CREATING", executes=False),
    "bill_missing": CallPlan(error="NO_STATEMENT_EXIST", executes=False),
} | {f"bill_{trick}": CallPlan(bill=trick) for trick in _BILL_TRICKS}
NOTICE_FAULTS: Mapping[str, NoticePlan] = {
    "duplicates": NoticePlan(copies=5),
    "out_of_order": NoticePlan(after_next=True),
    "late": NoticePlan(delay_s=60),
    "never": NoticePlan(never=True),
    "wrong_signature": NoticePlan(sign="wrong"),
    "missing_signature": NoticePlan(sign="missing"),
    "stale_timestamp": NoticePlan(sign="stale"),
    "unknown_serial": NoticePlan(sign="unknown_serial"),
    "signtest_probe": NoticePlan(sign="signtest", bad_attempts=1),
    "wrong_amount": NoticePlan(alters="amount"),
    "wrong_mchid": NoticePlan(alters="mchid"),
    "wrong_appid": NoticePlan(alters="appid"),
    "unknown_order": NoticePlan(alters="unknown_order"),
    "tampered_ciphertext": NoticePlan(tampers="ciphertext"),
    "tampered_aad": NoticePlan(tampers="aad"),
}
# Faults that have no form at a channel: a rule that names the channel may not name them.
WECHATPAY_ALONE = {"signtest_probe", "tampered_ciphertext", "tampered_aad"} | {f"bill_{t}" for t in BILL_FORM_TRICKS}
ALIPAY_ALONE = {"error_response", "call_again"} | {f"bill_{trick}" for trick in BILL_ZIP_TRICKS}
NOT_AT: Mapping[str, frozenset[str]] = {
    "wechatpay": frozenset(ALIPAY_ALONE),
    "alipay": frozenset(WECHATPAY_ALONE - {"bill_expired_token"}),
    "unionpay": frozenset(WECHATPAY_ALONE | ALIPAY_ALONE | {"unknown_serial", "stale_timestamp"}),
}


def notice_from(stored: Mapping[str, Any]) -> NoticePlan:
    """The reverse of `dataclasses.asdict` for a plan kept with its notification."""
    return NoticePlan(**stored)
