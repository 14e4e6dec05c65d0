"""The blacklist from a terminal, at three in the morning."""

import io
import sys
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from openplatform.models import BlockEntry

pytestmark = pytest.mark.django_db


def blocks(*arguments):
    out = io.StringIO()
    call_command("blocks", *arguments, stdout=out)
    return out.getvalue()


def test_an_address_is_added_found_and_lifted():
    told = blocks("add", "ip", "::ffff:203.0.113.9", "--reason", "scans", "--for", "2h", "--by", "olga")
    entry = BlockEntry.objects.get()
    assert (entry.value, entry.reason, entry.created_by) == ("203.0.113.9", "scans", "olga")
    assert entry.expires_at - entry.created_at == timedelta(hours=2)
    assert blocks("list") == told
    assert f"{entry.pk}  ip" in told
    assert "by olga: scans" in told
    assert blocks("lift", str(entry.pk), "--by", "oleg") == f"{entry.pk}  lifted\n"
    entry.refresh_from_db()
    assert entry.lifted_by == "oleg"
    assert blocks("list") == ""
    assert blocks("lift", str(entry.pk)) == f"{entry.pk}  was not in force any more\n"


def test_one_asks_what_keeps_an_address_out():
    blocks("add", "cidr", "203.0.113.0/24", "--reason", "x")
    blocks("add", "notify_host", "shop.example.com", "--reason", "x")
    assert "203.0.113.0/24" in blocks("list", "--about", "203.0.113.77")
    assert blocks("list", "--about", "203.0.114.77") == ""
    assert "shop.example.com" in blocks("list", "--kind", "notify_host")
    assert "203.0.113" not in blocks("list", "--kind", "notify_host")


def test_a_payer_comes_by_standard_input_and_is_not_shown(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o\n"))
    told = blocks("add", "payer_hash", "-", "--reason", "chargebacks")
    assert "…eS6o  until lifted" in told
    assert "oUpF8" not in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("add", "ip", "203.0.113", "--reason", "x"), "BLOCK_NOT_AN_ADDRESS"),
        (("add", "cidr", "0.0.0.0/0", "--reason", "x"), "BLOCK_TOO_WIDE"),
        (("add", "ip", "203.0.113.9"), "--reason"),
        (("add", "host", "203.0.113.9", "--reason", "x"), "invalid choice"),
        (("add", "ip", "203.0.113.9", "--reason", "x", "--for", "2 hours"), "not a length"),
        (("lift", "99"), "There is no entry 99"),
    ],
)
def test_what_is_not_right_is_named_and_changes_nothing(arguments, told):
    kept = BlockEntry.block(kind="ip", text="203.0.113.1", reason="x", by="olga", now=timezone.now())
    with pytest.raises(CommandError, match=told):
        blocks(*arguments)
    assert list(BlockEntry.live(now=timezone.now())) == [kept]


def test_of_several_entries_one_that_is_not_there_stops_all():
    kept = BlockEntry.block(kind="ip", text="203.0.113.1", reason="x", by="olga", now=timezone.now())
    with pytest.raises(CommandError, match="nothing was lifted"):
        blocks("lift", str(kept.pk), str(kept.pk + 99))
    assert list(BlockEntry.live(now=timezone.now())) == [kept]
