"""Whoever is woken by an alarm finds it in the runbook, and reads it in words."""

import re

import pytest
from django.utils import translation
from tree import ROOT

from openplatform.alarms.wording import WORDS
from openplatform.models.alarm import CRITICAL, AlarmKind

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", AlarmKind)
def test_the_runbook_says_what_each_alarm_means_and_how_urgent_it_is(kind):
    (severity,) = re.findall(rf"^\| `{kind.value}` (\w+) \| \S.* \| \S.* \|$", RUNBOOK, re.MULTILINE)
    assert severity == ("critical" if kind in CRITICAL else "warning")


@pytest.mark.parametrize("kind", AlarmKind)
def test_each_alarm_has_words_in_both_languages(kind):
    said = set()
    for language in ("en", "zh-hans"):
        with translation.override(language):
            said |= {str(WORDS[kind]), str(kind.label)}
    assert len(said) == 4
