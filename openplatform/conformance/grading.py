"""From answers to a grade and one finding, whose words are in wording.py."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from openplatform.conformance.cases import Case, Expected
from openplatform.models.conformance import Grade
from openplatform.notifications.sending import Outcome

SLOW_ANSWER_MS = 2_500  # half of what we wait for
_ORDER = (Grade.PASS, Grade.WARN, Grade.FAIL)


class Finding(enum.StrEnum):
    AS_EXPECTED = "as_expected"
    SLOW_ANSWER = "slow_answer"
    ACCEPTED = "accepted"  # what should have been refused
    REFUSED = "refused"  # what should have been accepted
    REDIRECTED = "redirected"
    SERVER_ERROR = "server_error"
    GONE = "gone"
    NO_ANSWER = "no_answer"
    NOT_JUDGED = "not_judged"  # who refuses the good one has refused the bad ones for no reason of theirs
    NOT_REACHED = "not_reached"  # there was no answer at all before
    NO_TIME = "no_time"
    ADDRESS_REFUSED = "address_refused"  # by our own rules, since the run began
    BROKEN_OFF = "broken_off"  # whoever made the run died


@dataclass(frozen=True, kw_only=True)
class Shown:
    """How one request went."""

    outcome: Outcome
    duration_ms: int


@dataclass(frozen=True, kw_only=True)
class Verdict:
    grade: Grade
    finding: Finding


def worst(grades: Sequence[Grade]) -> Grade:
    return max(grades, key=_ORDER.index)


def not_run(finding: Finding) -> Verdict:
    """Nothing is known about the merchant, and that is not good."""
    return Verdict(grade=Grade.WARN, finding=finding)


def judge(case: Case, answers: Sequence[Shown | None]) -> Verdict:
    """The worst of its requests decides; None is one for which there was no time."""
    verdicts = [_judge_one(case, answer) if answer else not_run(Finding.NO_TIME) for answer in answers]
    return max(verdicts, key=lambda verdict: _ORDER.index(verdict.grade))


def _judge_one(case: Case, answer: Shown) -> Verdict:
    finding = _finding(answer.outcome)
    if finding.value == case.expected.value:
        if case.expected == Expected.ACCEPTED and answer.duration_ms > SLOW_ANSWER_MS:
            return Verdict(grade=Grade.WARN, finding=Finding.SLOW_ANSWER)
        return Verdict(grade=Grade.PASS, finding=Finding.AS_EXPECTED)
    # A forgery that was not taken did no harm, however it was said.
    is_harmless = case.expected == Expected.REFUSED and finding != Finding.ACCEPTED
    return Verdict(grade=Grade.WARN if is_harmless or not case.is_grave else Grade.FAIL, finding=finding)


def _finding(outcome: Outcome) -> Finding:
    status = outcome.status_code
    if status is None:
        return Finding.NO_ANSWER
    if outcome.is_gone:
        return Finding.GONE
    by_hundred = {2: Finding.ACCEPTED, 3: Finding.REDIRECTED, 4: Finding.REFUSED, 5: Finding.SERVER_ERROR}
    return by_hundred.get(status // 100, Finding.REFUSED)
