"""The rules that choose when something goes wrong: by channel, host, operation, number, n-th call and chance.

A rule's `params` override single fields of the plan: `{"fault": "timeout_done", "params": {"pause_s": 2}}`.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from fnmatch import fnmatchcase
from random import Random
from typing import Any, TypeVar

from sandbox import options
from sandbox.alipay import errors as alipay_errors
from sandbox.models import CHANNELS, FaultRule
from sandbox.plans import (
    ANY,
    BILL_FORM_TRICKS,
    BILL_ROW_TRICKS,
    BILL_SIZE_TRICKS,
    BILL_ZIP_TRICKS,
    CALL_FAULTS,
    CALLS,
    NOT_AT,
    NOTICE_FAULTS,
    NOTICES,
    ORDINARY_CALL,
    ORDINARY_NOTICE,
    CallPlan,
    NoticePlan,
)
from sandbox.store import writing
from sandbox.wechatpay.errors import PRESETS
from sandbox.wechatpay.signing import FLAWS
from sandbox.wire import TRICKS

_Plan = TypeVar("_Plan", CallPlan, NoticePlan)
_RULE_FIELDS: Mapping[str, tuple[type, ...]] = {
    "channel": (str,),
    "host": (str,),
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
    "error": {"", *PRESETS, *alipay_errors.PRESETS},
    "sign": {*FLAWS, "error_response"},
    "wire": {"", *TRICKS},
    "pays": {"", "later", "before_answer", "after_close", "before_close"},
    "settles": {"", "SUCCESS", "ABNORMAL", "CLOSED"},
    "asks_end": {"", "SUCCESS", "PAYERROR", "REVOKED"},
    "bill": {"", *BILL_ROW_TRICKS, *BILL_SIZE_TRICKS, *BILL_FORM_TRICKS, *BILL_ZIP_TRICKS},
    "alters": {"", "amount", "mchid", "appid", "unknown_order"},
    "tampers": {"", "ciphertext", "aad"},
}


class BadRule(Exception):
    """A rule that names no known channel, operation, fault or parameter, or a parameter of the wrong type."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a rule is matched against. `calls_before` counts earlier calls of the operation with this number."""

    channel: str
    operation: str
    number: str
    amount_fen: int = 0
    calls_before: int = 0
    host: str = "primary"


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
    plan = resolve(operation=rule.operation, fault=rule.fault, params=rule.params)
    _check_place(rule, plan)
    with writing():
        rule.save()
    return rule


def _check_place(rule: FaultRule, chosen: Chosen) -> None:
    """That the channel and the host exist, and that the channel knows such a fault and such an error."""
    if rule.channel not in {"", *CHANNELS} or rule.host not in {"", "primary", "backup"}:
        raise BadRule("channel: one of wechatpay, alipay, unionpay; host: primary or backup")
    if rule.fault in NOT_AT.get(rule.channel, ()):
        raise BadRule(f"{rule.fault}: has no form at {rule.channel}")
    if chosen.call.error in alipay_errors.PRESETS and rule.channel != "alipay":
        raise BadRule(f"{chosen.call.error}: an error of Alipay's alone, so the rule must name that channel")


def _matches(rule: FaultRule, subject: Subject) -> bool:
    same = rule.operation == subject.operation or (rule.operation == ANY and subject.operation in CALLS)
    here = rule.channel in {"", subject.channel} and rule.host in {"", subject.host}
    # Without a channel a rule means those channels that have a form of its fault.
    has_form = rule.fault not in NOT_AT[subject.channel]
    return same and here and has_form and fnmatchcase(subject.number, rule.number)


def _fires(rule: FaultRule) -> bool:
    """Count the call and decide; the choice depends on the seeds and the count alone, so a run can be repeated."""
    rule.seen += 1
    within = rule.seen > rule.skip and (rule.times is None or rule.fired < rule.times)
    dice = Random(f"{options.get('seed')}/{rule.seed}/{rule.seen}")  # noqa: S311 - to be repeatable
    fires = within and dice.random() < rule.probability
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
