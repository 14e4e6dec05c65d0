"""The few things that can be done here: issue and deactivate a pay code, switch a channel account."""

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from openplatform.blocks import lists
from openplatform.models import NotifyHost
from payments.channels.base import Accepted
from payments.channels.registry import CHANNELS
from payments.models import Case, ChannelAccount, OrderPolicy, PayCode, Refund
from payments.operations import payments
from tests import factories
from tests.payments.console import stories
from tests.payments.console.conftest import page_url, shown

pytestmark = pytest.mark.django_db

ADD = "/console/payments/paycode/add/"


def switch_url(account):
    return reverse("admin:payments_channelaccount_switch", args=[account.pk])


def deactivate_url(pay_code):
    return reverse("admin:payments_paycode_deactivate", args=[pay_code.pk])


def log():
    return [(entry.user.username, entry.object_id, entry.get_change_message()) for entry in LogEntry.objects.all()]


def test_an_operator_issues_a_pay_code_and_sees_it_to_be_printed(operator):
    app = factories.an_app()
    response = operator.post(
        ADD, {"channel": "wechatpay", "app": app.pk, "label": "Counter 3", "notify_url": ""}, follow=True
    )
    pay_code = PayCode.objects.get()
    assert (pay_code.app, pay_code.label, pay_code.is_active) == (app, "Counter 3", True)
    assert pay_code.channel == "wechatpay"
    assert len(pay_code.token) == 22
    assert pay_code.token in shown(response)
    page = shown(operator.get(page_url(pay_code)))
    assert "data:image/svg+xml" in page
    assert f"/pay/{pay_code.token}" in page
    assert log() == [("operator", pay_code.pk, "Added.")]


def test_a_pay_code_is_for_a_channel_that_says_who_pays_or_for_all(operator):
    app, form = factories.an_app(), {"label": "Counter", "notify_url": ""}
    for channel in ("", *CHANNELS):
        operator.post(ADD, form | {"app": app.pk, "channel": channel})
    assert set(PayCode.objects.values_list("channel", flat=True)) == {"", *CHANNELS}, "one is for every wallet"
    operator.post(ADD, form | {"app": app.pk, "channel": "nobody"})
    assert PayCode.objects.count() == len(CHANNELS) + 1


def test_the_token_of_a_pay_code_is_ours_to_choose(operator):
    form = {
        "channel": "wechatpay", "app": factories.an_app().pk, "label": "Counter", "token": "guessable", "is_active": "",
    }  # fmt: skip
    operator.post(ADD, form)
    assert PayCode.objects.get().token != "guessable"


@pytest.mark.parametrize("url", ["http://merchant.example/x", "https://127.0.0.1/x", "https://user@merchant.example/"])
def test_a_pay_code_with_an_address_that_we_would_not_call_is_refused(operator, url):
    form = {"channel": "wechatpay", "app": factories.an_app().pk, "label": "Counter", "notify_url": url}
    response = operator.post(ADD, form)
    assert "This address is not accepted" in shown(response)
    assert not PayCode.objects.exists()


def test_a_pay_code_tells_only_at_a_host_that_is_registered_for_its_app(operator):
    app = factories.an_app()
    form = {"channel": "wechatpay", "label": "Counter", "notify_url": "https://other.example.com/n"}
    NotifyHost.register(app=app, text="shop.example.com", reason="x", by="olga", now=factories.NOW)
    lists.forget()
    assert "not registered for the app" in shown(operator.post(ADD, form | {"app": app.pk}))
    assert not PayCode.objects.exists()
    operator.post(ADD, form | {"app": app.pk, "notify_url": "https://shop.example.com/n"})
    assert PayCode.objects.get().app == app


def test_a_pay_code_of_a_disabled_app_is_not_issued(operator):
    app = factories.an_app()
    app.disable()
    shown(operator.post(ADD, {"channel": "wechatpay", "app": app.pk, "label": "Counter"}))
    assert not PayCode.objects.exists()


def test_an_operator_deactivates_a_pay_code_once_it_is_confirmed(operator):
    pay_code = factories.a_pay_code()
    assert "There is no way back" in shown(operator.get(deactivate_url(pay_code)))
    assert factories.again(pay_code).is_active
    operator.post(deactivate_url(pay_code), {"answer": "off"})
    assert not factories.again(pay_code).is_active
    assert log() == [("operator", pay_code.pk, "“Fen Coffee” is deactivated.")]


def test_an_auditor_issues_and_deactivates_nothing(auditor):
    pay_code = factories.a_pay_code()
    assert auditor.get(ADD).status_code == 403
    assert auditor.post(ADD, {"channel": "wechatpay", "app": pay_code.app_id, "label": "x"}).status_code == 403
    assert auditor.get(deactivate_url(pay_code)).status_code == 403
    assert auditor.post(deactivate_url(pay_code), {"answer": "off"}).status_code == 403
    assert factories.again(pay_code).is_active
    assert PayCode.objects.count() == 1
    assert deactivate_url(pay_code) not in shown(auditor.get(page_url(pay_code)))


def an_account():
    return factories.an_app().merchant.channelaccount_set.get()


def test_a_superuser_switches_an_account_off_and_on_again(root):
    account = an_account()
    assert "New orders of this merchant on this channel are refused" in shown(root.get(switch_url(account)))
    root.post(switch_url(account), {"answer": "off"})
    assert not factories.again(account).is_active
    root.post(switch_url(account), {"answer": "on"})
    assert factories.again(account).is_active
    assert [message for _user, _number, message in log()] == [
        "“wechatpay” is switched on.", "“wechatpay” is switched off.",
    ]  # fmt: skip


def test_looking_at_the_question_changes_nothing(root):
    account = an_account()
    root.get(switch_url(account))
    assert factories.again(account).is_active
    assert log() == []


def test_an_answer_to_a_question_that_is_no_longer_asked_changes_nothing(root):
    account = an_account()
    page = root.post(switch_url(account), {"answer": "on"}, follow=True)
    assert "It was changed meanwhile; nothing was done." in shown(page)
    root.post(switch_url(account), {"answer": "off"})
    root.post(switch_url(account), {"answer": "off"})
    assert not factories.again(account).is_active
    assert len(log()) == 1


def test_a_second_active_account_is_refused_by_name_and_changes_nothing(root):
    account = an_account()
    root.post(switch_url(account), {"answer": "off"})
    factories.an_account(account.merchant)
    page = root.post(switch_url(account), {"answer": "on"}, follow=True)
    assert "The merchant has another active account of this rank at the channel" in shown(page)
    assert ChannelAccount.objects.filter(is_active=True).count() == 1
    assert not factories.again(account).is_active


def a_model_account():
    return ChannelAccount.register(
        merchant=factories.an_app(with_account=False).merchant, channel="unionpay", name="unionpay", settings={},
        secrets={}, now=factories.NOW,
    )  # fmt: skip


def test_a_model_of_a_channel_is_shown_as_one_and_not_switched_on_for_real_money(root):
    account = a_model_account()
    account.deactivate()
    said = "it takes real money only with ALLOW_MODEL_CHANNELS"
    for page in (page_url(account), reverse("admin:payments_channelaccount_changelist")):
        assert said in shown(root.get(page))
    assert said not in shown(root.get(page_url(an_account())))
    assert "UnionPay (model)" in shown(root.get(ADD))
    refusal = shown(root.post(switch_url(account), {"answer": "on"}, follow=True))
    assert "ALLOW_MODEL_CHANNELS is off here" in refusal
    assert not factories.again(account).is_active


@pytest.mark.parametrize("role", ["auditor", "operator"])
def test_nobody_else_switches_an_account(as_role, role):
    account, client = an_account(), as_role(role)
    assert client.get(switch_url(account)).status_code == 403
    assert client.post(switch_url(account), {"answer": "off"}).status_code == 403
    assert factories.again(account).is_active
    assert switch_url(account) not in shown(client.get(page_url(account)))


def test_a_post_from_another_site_is_refused(root):
    account = an_account()
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = root.cookies
    assert strict.post(switch_url(account), {"answer": "off"}).status_code == 403
    assert factories.again(account).is_active


def test_an_account_that_is_not_there_has_no_question(root):
    assert root.get(reverse("admin:payments_channelaccount_switch", args=["1"])).status_code == 404


@pytest.mark.parametrize(("role", "status"), [("operator", "owed"), ("auditor", "held")])
def test_an_operator_sends_a_given_up_notification_again_and_an_auditor_does_not(as_role, role, status):
    notification = stories.the_notification(factories.a_paid_order(notify_url=stories.NOTIFY_URL))
    notification.hold()
    form = {"action": "replay", "_selected_action": [notification.pk]}
    as_role(role).post(reverse("admin:openplatform_notification_changelist"), form)
    assert factories.again(notification).status == status


def a_held_late_payment():
    order = factories.a_closed_order()
    OrderPolicy.choose(app=order.app, late_payment="hold")
    payments.record_query(
        claimed=factories.the_payment(order), answer=Accepted(facts=factories.paid(order)), now=factories.NOW
    )
    return Case.objects.get(order=order)


def case_url(case, verb):
    return reverse(f"admin:payments_case_{verb}", args=[case.pk])


def test_a_late_payment_is_given_back_by_one_click_and_one_question(root):
    case = a_held_late_payment()
    page = shown(root.get(case_url(case, "give_back"), headers={"Accept-Language": "en"}))
    assert "The payer gets 40.30 CNY back, all of it." in page
    assert not Refund.objects.exists()
    for _ in range(2):  # the second answer comes too late, and says so
        root.post(case_url(case, "give_back"), {"answer": "open"})
    assert Refund.objects.get().amount_fen == 4030
    assert factories.again(case).status == "resolved"


def test_a_case_is_resolved_with_a_note_and_a_name(root):
    case = a_held_late_payment()
    root.post(case_url(case, "resolve"), {"answer": "open", "note": "shipped all the same"})
    case = factories.again(case)
    assert (case.status, case.resolution, case.resolved_by) == ("resolved", "shipped all the same", "root")
    assert not Refund.objects.exists()


@pytest.mark.parametrize("role", ["auditor", "operator"])
def test_nobody_else_decides_a_case(as_role, role):
    case, client = a_held_late_payment(), as_role(role)
    for verb in ("give_back", "resolve"):
        assert client.post(case_url(case, verb), {"answer": "open", "note": "x"}).status_code == 403
    assert factories.again(case).status == "open"


def test_an_order_policy_is_chosen_and_changed(root):
    app = factories.an_app()
    root.post(reverse("admin:payments_orderpolicy_add"), {"app": app.pk, "late_payment": "hold"})
    assert OrderPolicy.of(app.pk).late_payment == "hold"
    root.post(reverse("admin:payments_orderpolicy_change", args=[app.pk]), {"late_payment": "refund"})
    assert OrderPolicy.of(app.pk).late_payment == "refund"
