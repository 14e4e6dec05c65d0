"""A refund that could not reach the payer waits for a person, who says where the money goes."""

import json
import logging
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from openplatform.models import Notification
from payments.channels.base import Accepted, BankCard, RefundState
from payments.models import Case, LedgerEntry, Refund, StateEvent
from payments.operations.abnormal_refunds import (
    RedirectRefused,
    RedirectUnknown,
    RefundNotAbnormal,
    redirect_refund,
)
from payments.operations.accounts import open_account
from payments.operations.refunds import apply_facts, lock_refund, record_refund
from payments.states import RefundStatus
from tests import factories
from tests.factories import again
from tests.faults.conftest import Shop
from tests.faults.test_channel_certificates import by_certificate, fetch

CARD = BankCard(bank_type="ICBC_DEBIT", account="6222020000000000001", name="张三丰")
NOTIFY = {"notify_url": "https://shop.example/notify"}


def abnormal(shop: Shop) -> Refund:
    shop.control.add_fault("refund", "refund_abnormal", times=1)
    refund = factories.a_submitting_refund(order=shop.paid_order(), now=shop.now(), **NOTIFY)
    for _ in range(4):
        refund = shop.drive_refund(refund)
        if refund.status == RefundStatus.ABNORMAL:
            return refund
    raise AssertionError(refund.last_answer)


def redirect(shop: Shop, refund: Refund, card: BankCard | None = CARD, by: str = "olga") -> Refund:
    return redirect_refund(refund_no=refund.pk, card=card, by=by, clock=shop.now)


def until_done(shop: Shop, refund: Refund) -> Refund:
    for _ in range(6):
        refund = shop.drive_refund(refund)
        if refund.status == RefundStatus.SUCCEEDED:
            return refund
    raise AssertionError(refund.last_answer)


def by_public_key(shop: Shop) -> Shop:
    return shop


def with_certificates(shop: Shop) -> Shop:
    by_certificate(shop)
    fetch(shop)
    return shop


@pytest.mark.parametrize("mode", [by_public_key, with_certificates])
@pytest.mark.parametrize("card", [CARD, None], ids=["the payer's card", "the merchant's account"])
def test_it_goes_where_a_person_says_and_ends_like_any_other(shop, mode, card):
    refund = abnormal(mode(shop))
    case = Case.objects.get()
    assert (case.kind, case.status, case.details) == ("REFUND_ABNORMAL", "open", {"destination": "支付用户零钱"})
    refund = redirect(shop, refund, card)
    assert refund.status == RefundStatus.PROCESSING
    event = StateEvent.objects.filter(refund=refund).last()
    assert (
        event.because
        == f"sent to {'a card of the payer' if card else 'the merchant' + chr(39) + 's own account'} by olga"
    )
    case.refresh_from_db()
    assert (case.status, case.resolved_by) == ("resolved", "olga")
    assert again(refund.order).refund_reserved_fen == refund.amount_fen, "it is on its way, and nothing is let go"
    refund = until_done(shop, refund)
    assert LedgerEntry.objects.filter(kind="refund").count() == 1
    assert again(refund.order).refunded_fen == refund.amount_fen
    told = Notification.objects.filter(object_no=refund.pk).order_by("pk").values_list("event_type", flat=True)
    assert list(told) == ["refund.abnormal", "refund.succeeded"]


def test_the_card_is_nowhere_but_in_the_channels_hands(shop, caplog):
    refund = abnormal(shop)
    with caplog.at_level(logging.DEBUG):
        redirect(shop, refund)
    sent = json.dumps(shop.control.calls(operation="abnormal_refund"))
    rows = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT coalesce(string_agg(t::text, $$ $$), $$$$) FROM "{table}" t')
            rows.append(cursor.fetchone()[0])
    for secret in (CARD.account, CARD.name, "\\u5f20\\u4e09"):
        assert secret not in caplog.text
        assert secret not in sent
        assert not [row for row in rows if secret in row]
    assert CARD.account not in repr(CARD)


def test_a_refusal_of_the_channel_moves_nothing_and_is_said(shop):
    refund = abnormal(shop)
    with pytest.raises(RedirectRefused, match="PARAM_ERROR"):
        redirect(shop, refund, BankCard(bank_type="X" * 17, account="1", name="x"))
    assert again(refund).status == RefundStatus.ABNORMAL
    assert Case.objects.get().status == "open"
    assert redirect(shop, refund).status == RefundStatus.PROCESSING, "nobody is kept away by the attempt"


@pytest.mark.parametrize("fault", ["timeout_done", "unknown_but_done", "wrong_signature", "connection_reset"])
def test_without_an_answer_that_counts_it_is_asked_about_and_sent_once(shop, fault):
    refund = abnormal(shop)
    shop.control.add_fault("abnormal_refund", fault, times=1)
    with pytest.raises(RedirectUnknown):
        redirect(shop, refund)
    refund = again(refund)
    assert refund.status == RefundStatus.ABNORMAL
    assert refund.next_check_at < shop.now() + timedelta(minutes=1), "in seconds, and not in a day"
    until_done(shop, refund)
    assert len(shop.control.calls(operation="abnormal_refund")) == 1
    assert len(shop.control.get("refunds")) == 1


def test_what_was_never_sent_can_be_said_again(shop):
    refund = abnormal(shop)
    shop.control.add_fault("abnormal_refund", "unknown_not_done", times=1)
    with pytest.raises(RedirectUnknown):
        redirect(shop, refund)
    assert shop.drive_refund(refund).status == RefundStatus.ABNORMAL
    assert redirect(shop, refund).status == RefundStatus.PROCESSING


def test_of_two_persons_at_once_one_is_heard(shop):
    refund = abnormal(shop)
    heard: list[str] = []

    def act(by: str) -> None:
        try:
            redirect(shop, refund, by=by)
            heard.append(by)
        except (RefundNotAbnormal, RedirectRefused):
            pass
        finally:
            connection.close()

    threads = [threading.Thread(target=act, args=[name]) for name in ("olga", "ivan", "mei")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(heard) == 1
    assert Case.objects.get().resolved_by == heard[0]


def test_a_refund_that_waits_for_nobody_is_not_sent_elsewhere(shop):
    order = shop.paid_order()
    refund = factories.a_submitting_refund(order=order, now=shop.now())
    with pytest.raises(RefundNotAbnormal):
        redirect(shop, refund)
    assert not shop.control.calls(operation="abnormal_refund")


def test_a_channel_that_cannot_do_it_says_so(open_shop):
    shop = open_shop("alipay")
    refund = factories.a_submitting_refund(order=shop.paid_order(), now=shop.now())
    answer = Accepted(facts=factories.refund_said(refund, RefundState.ABNORMAL))
    record_refund(claimed=refund, answer=answer, now=shop.now())
    with pytest.raises(RedirectRefused, match="cannot do that"):
        redirect(shop, refund)


def test_when_the_other_account_fails_too_a_person_is_called_anew(shop):
    refund = abnormal(shop)
    shop.control.options(refund_s=3600.0)
    redirect(shop, refund)
    shop.control.settle(str(refund.pk), "ABNORMAL")
    refund = shop.drive_refund(refund)
    assert refund.status == RefundStatus.ABNORMAL
    assert sorted(Case.objects.values_list("status", flat=True)) == ["open", "resolved"]
    redirect(shop, refund)
    assert not Case.objects.filter(status="open").exists()


def test_what_a_person_did_in_the_channels_own_console_is_found_by_asking(shop):
    refund = abnormal(shop)
    channel = open_account(shop.account)
    channel.redirect_refund(
        refund_no=refund.pk, channel_refund_no=refund.channel_refund_no, card=None, now=shop.now()
    )  # fmt: skip
    until_done(shop, refund)
    assert Case.objects.get().status == "open", "whoever did it there says so here"


def test_an_old_answer_does_not_undo_what_a_callback_has_told_since(shop):
    """The question was asked before, and "under way" is what it was then."""
    refund = factories.a_submitting_refund(order=shop.paid_order(), now=shop.now())
    claimed = Refund.claim(refund.pk, now=shop.now(), lease=timedelta(seconds=60))
    told = factories.refund_said(refund, RefundState.ABNORMAL)
    with transaction.atomic():
        apply_facts(*lock_refund(refund.pk), facts=told, now=shop.now())
    old = Accepted(facts=factories.refund_said(refund, RefundState.PROCESSING))
    record_refund(claimed=claimed, answer=old, now=shop.now())
    assert again(refund).status == RefundStatus.ABNORMAL


@pytest.fixture
def person(transactional_db: None) -> Callable[..., Client]:
    def person(*permissions: str) -> Client:
        user = User.objects.create_user(f"p{len(permissions)}", password="x" * 12, is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=["view_refund", "view_order", *permissions]))
        client = Client(headers={"accept-language": "en"})
        client.force_login(user)
        return client

    return person


FORM = {"to": "payer", "bank_type": "ICBC_DEBIT", "bank_account": "6222 0200 0000 0000 001", "real_name": "张三丰"}


def test_from_the_console_with_the_right_to_do_so(shop, person, settings):
    refund = abnormal(shop)
    url = reverse("admin:payments_refund_send_elsewhere", args=[refund.pk])
    page = reverse("admin:payments_refund_change", args=[refund.pk])
    nobody, somebody = person(), person("redirect_refund")
    assert nobody.get(url).status_code == nobody.post(url, FORM).status_code == 403
    assert url not in nobody.get(page).content.decode()
    assert url in somebody.get(page).content.decode()
    refused = somebody.post(url, FORM | {"bank_account": "62220200", "real_name": ""}).content.decode()
    assert "This is needed for a card of the payer." in refused
    assert "62220200" not in refused, "what was typed is not repeated"
    assert not shop.control.calls(operation="abnormal_refund")
    done = somebody.post(url, FORM, follow=True).content.decode()
    assert "The channel has accepted it" in done
    assert again(refund).status == RefundStatus.PROCESSING
    assert url not in somebody.get(page).content.decode(), "there is nothing to decide any more"
    assert "6222" not in "".join(str(row) for row in User.objects.get(username="p1").logentry_set.values())


def test_a_refusal_is_read_by_the_person(shop, person):
    refund = abnormal(shop)
    shop.control.add_fault("abnormal_refund", "error", times=1, params={"error": "NO_AUTH"})
    url = reverse("admin:payments_refund_send_elsewhere", args=[refund.pk])
    page = person("redirect_refund").post(url, FORM).content.decode()
    assert "NO_AUTH" in page
    assert CARD.account not in page
    assert CARD.name not in page
