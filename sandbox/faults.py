"""What can go wrong with a call or a notification, as data; and the rules that choose when it does.

A `CallPlan` says how one request is treated, a `NoticePlan` how one notification is; the catalogue names the useful
ones. A rule's `params` override single fields of the plan: `{"fault": "timeout_done", "params": {"pause_s": 2}}`.
"""

import random
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from sandbox.models import FaultRule
from sandbox.store import writing
from sandbox.wechatpay.errors import PRESETS
from sandbox.wechatpay.signing import FLAWS
from sandbox.wire import TRICKS

CALLS = frozenset({"create", "query", "close", "refund", "refund_query", "certificates"})
NOTICES = frozenset({"notify_payment", "notify_refund"})
ANY = "any"  # every call, never a notification


class BadRule(Exception):
    """A rule that names no known operation, fault or parameter, or a parameter of the wrong type."""


@dataclass(frozen=True, kw_only=True)
class CallPlan:
    """How one request is treated. The defaults are an ordinary one. Times in seconds; `pause_s` -1 is the option."""

    executes: bool = True
    executes_after_s: float = 0  # the effect comes late, whether or not the client still waits
    pause_s: float = 0  # after that the answer is held back
    error: str = ""  # the answer is this one of wechatpay.errors.PRESETS instead
    sign: str = ""  # one of signing.FLAWS: a flaw of the answer's signature
    wire: str = ""  # one of wire.TRICKS: what happens to the bytes
    pays: str = ""  # create: "later" or "before_answer"; close: "after_close"
    settles: str = ""  # refund: SUCCESS, ABNORMAL or CLOSED
    settle_s: float = 0  # refund: after that long; 0 is the option `refund_s`, -1 `stuck_s`


@dataclass(frozen=True, kw_only=True)
class NoticePlan:
    """How one notification is delivered. The defaults are an ordinary one."""

    copies: int = 1  # so many at once, at every attempt
    delay_s: float = 0
    never: bool = False
    sign: str = ""
    bad_attempts: int = 0  # only the first n carry the flaw; 0: all
    alters: str = ""  # "amount", "mchid", "appid" or "unknown_order": a wrong content, properly signed
    tampers: str = ""  # "ciphertext" or "aad": the resource does not decrypt


_Plan = TypeVar("_Plan", CallPlan, NoticePlan)
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
    "frequency_limited_done": CallPlan(error="FREQUENCY_LIMITED"),
    "frequency_limited_not_done": CallPlan(error="FREQUENCY_LIMITED", executes=False),
    "bad_gateway_html": CallPlan(wire="html_502", executes=False),
    "wrong_signature": CallPlan(sign="wrong"),
    "missing_signature": CallPlan(sign="missing"),
    "stale_timestamp": CallPlan(sign="stale"),
    "unknown_serial": CallPlan(sign="unknown_serial"),
    "signtest_probe": CallPlan(sign="signtest"),
    "slow_drip": CallPlan(wire="drip"),
    "hang": CallPlan(wire="hang", executes=False),
    "error": CallPlan(error="SYSTEM_ERROR", executes=False),  # params name the error
    "refused": CallPlan(error="RULE_LIMIT", executes=False),
    "not_enough": CallPlan(error="NOT_ENOUGH", executes=False),
    "accepted_without_effect": CallPlan(error="NO_CONTENT", executes=False),  # a 204 that closes nothing
    "paid_at_once": CallPlan(pays="later"),
    "notify_before_answer": CallPlan(pays="before_answer"),
    "pay_after_close": CallPlan(pays="after_close"),
    "refund_abnormal": CallPlan(settles="ABNORMAL"),
    "refund_closed": CallPlan(settles="CLOSED"),
    "refund_stuck": CallPlan(settles="SUCCESS", settle_s=-1),
}
NOTICE_FAULTS: Mapping[str, NoticePlan] = {
    "duplicates": NoticePlan(copies=5),
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

_RULE_FIELDS: Mapping[str, tuple[type, ...]] = {
    "operation": (str,),
    "fault": (str,),
    "number": (str,),
    "skip": (int,),
    "times": (int, type(None)),
    "probability": (int, float),
    "seed": (int,),
    "params": (dict,),
}
_ALLOWED: Mapping[str, Collection[str]] = {
    "error": {"", *PRESETS},
    "sign": FLAWS,
    "wire": {"", *TRICKS},
    "pays": {"", "later", "before_answer", "after_close"},
    "settles": {"", "SUCCESS", "ABNORMAL", "CLOSED"},
    "alters": {"", "amount", "mchid", "appid", "unknown_order"},
    "tampers": {"", "ciphertext", "aad"},
}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a rule is matched against. `calls_before` counts earlier calls of the operation with this number."""

    operation: str
    number: str
    amount_fen: int = 0
    calls_before: int = 0


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The plan for one call or notification and the name it goes by in the log ("" when ordinary)."""

    name: str = ""
    call: CallPlan = ORDINARY_CALL
    notice: NoticePlan = field(default=ORDINARY_NOTICE)


def resolve(*, operation: str, fault: str, params: Mapping[str, Any]) -> Chosen:
    """The plan that `fault` names for `operation`, with `params` laid over it. Raises BadRule."""
    if operation in NOTICES and fault in NOTICE_FAULTS:
        return Chosen(name=fault, notice=_override(NOTICE_FAULTS[fault], params))
    if (operation in CALLS or operation == ANY) and fault in CALL_FAULTS:
        return Chosen(name=fault, call=_override(CALL_FAULTS[fault], params))
    raise BadRule(f"no fault {fault!r} for operation {operation!r}")


def notice_from(stored: Mapping[str, Any]) -> NoticePlan:
    """The reverse of `dataclasses.asdict` for a plan kept with its notification."""
    return NoticePlan(**stored)


def by_rule(subject: Subject) -> Chosen | None:
    """The first stored rule that hits `subject`. Every rule that matches counts it, and at most one fires."""
    if not FaultRule.objects.exists():
        return None
    with writing():
        for rule in FaultRule.objects.order_by("pk"):
            if _matches(rule, subject) and _fires(rule):
                return resolve(operation=rule.operation, fault=rule.fault, params=rule.params)
    return None


def add_rule(wanted: Mapping[str, Any]) -> FaultRule:
    """Store a rule from the control API's JSON. Raises BadRule."""
    for name, value in wanted.items():
        if type(value) not in _RULE_FIELDS.get(name, ()):
            raise BadRule(f"{name}: unknown, or of another type")
    rule = FaultRule(**({"number": "*", "operation": "", "fault": ""} | dict(wanted)))
    resolve(operation=rule.operation, fault=rule.fault, params=rule.params)
    with writing():
        rule.save()
    return rule


def _matches(rule: FaultRule, subject: Subject) -> bool:
    same = rule.operation == subject.operation or (rule.operation == ANY and subject.operation in CALLS)
    return same and fnmatchcase(subject.number, rule.number)


def _fires(rule: FaultRule) -> bool:
    """Count the call and decide; the random choice depends on seed and count alone, so a run can be repeated."""
    rule.seen += 1
    within = rule.seen > rule.skip and (rule.times is None or rule.fired < rule.times)
    fires = within and random.Random(f"{rule.seed}/{rule.seen}").random() < rule.probability  # noqa: S311 - a dice
    rule.fired += fires
    rule.save(update_fields=["seen", "fired"])
    return fires


def _override(plan: _Plan, params: Mapping[str, Any]) -> _Plan:
    current = asdict(plan)
    for name, value in params.items():
        if name not in current or not _fits(current[name], value):
            raise BadRule(
                f"parameter {name!r}: not one of {', '.join(f.name for f in fields(plan))}, or of another type"
            )
        if name in _ALLOWED and value not in _ALLOWED[name]:
            raise BadRule(f"parameter {name!r}: not one of {', '.join(sorted(_ALLOWED[name]))}")
    return replace(plan, **params)


def _fits(current: Any, value: Any) -> bool:
    if isinstance(current, bool) or isinstance(value, bool):
        return isinstance(current, bool) and isinstance(value, bool)
    if isinstance(current, int | float):
        return isinstance(value, int | float)
    return isinstance(value, str)
