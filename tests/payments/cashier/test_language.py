"""Chinese unless the browser asks for English; the switch is remembered."""

import re
from dataclasses import asdict
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from django.conf import settings
from django.test import Client
from django.utils import translation

from payments.cashier import wording
from payments.channels.registry import CHANNELS
from tests.payments.cashier import states

pytestmark = pytest.mark.django_db(transaction=True)

CATALOGUE = Path(settings.BASE_DIR) / "payments" / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po"


@pytest.mark.parametrize(
    ("accepts", "lang", "title"),
    [
        ("", "zh-hans", "付款成功"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-hans", "付款成功"),
        ("zh-TW", "zh-hans", "付款成功"),
        ("en-US,en;q=0.9", "en", "Paid"),
        ("fr-FR,en;q=0.5", "en", "Paid"),
        ("fr", "zh-hans", "付款成功"),
    ],
)
def test_the_page_is_in_the_language_that_the_browser_prefers(accepts, lang, title):
    order = states.order_in("paid")
    page = Client().get(f"/cashier/{order.cashier_token}", headers={"Accept-Language": accepts}).content.decode()
    assert f'<html lang="{lang}">' in page
    assert f'<h1 id="title">{title}</h1>' in page


def test_the_switch_leads_to_the_other_language_and_is_remembered():
    browser, order = Client(headers={"Accept-Language": "zh-CN"}), states.order_in("paid")
    page = browser.get(f"/cashier/{order.cashier_token}?pay=ok").content.decode()
    assert 'href="?pay=ok&amp;lang=en"' in page
    response = browser.get(f"/cashier/{order.cashier_token}?pay=ok&lang=en")
    assert (response.status_code, response["Location"]) == (302, f"/cashier/{order.cashier_token}?pay=ok")
    assert (response.cookies["django_language"].value, response.cookies["django_language"]["samesite"]) == ("en", "Lax")
    assert '<h1 id="title">Paid</h1>' in browser.get(f"/cashier/{order.cashier_token}").content.decode()
    assert browser.get(f"/cashier/{order.cashier_token}/state").status_code == 200


@pytest.mark.parametrize("lang", ["de", "../x", "//evil.example", "en\r\nSet-Cookie: a=b"])
def test_a_language_that_we_do_not_speak_changes_nothing(lang):
    response = Client().get(f"/cashier/{states.order_in('paid').cashier_token}", {"lang": lang})
    assert response.status_code == 200
    assert "django_language" not in response.cookies


def test_the_switch_works_on_a_page_that_is_not_there_and_stays_on_this_site():
    response = Client().get("/cashier/%2F%2Fevil.example?lang=en")
    assert response.status_code in {302, 404}
    assert not response.headers.get("Location", "/").startswith("//")


def every_sentence() -> set[str]:
    with translation.override("en"):
        said = {str(text) for words in wording.ORDER_WORDS.values() for text in asdict(words).values()}
        said |= {str(text) for text in wording.AMOUNT_WORDS.values()}
        for value in vars(wording).values():
            if isinstance(value, wording.Words):
                said |= {str(value.title), str(value.detail), str(value.button)}
    return said - {""}


def test_every_sentence_has_its_chinese():
    for sentence in every_sentence():
        with translation.override("zh-hans"):
            chinese = translation.gettext(sentence)
        assert re.search(r"[\u4e00-\u9fff]", chinese), sentence


WALLETS = {"wechatpay": "微信", "alipay": "支付宝", "unionpay": "云闪付"}


@pytest.mark.parametrize("channel", list(CHANNELS))
def test_each_channels_page_names_its_own_app_and_no_other(channel):
    wallet = WALLETS[channel]
    with translation.override("zh-hans"):
        words = wording.order_words(channel)
    assert words["ready"]["button"] == f"{wallet}支付"
    said = "".join(text for look in words.values() for text in look.values())
    assert "%(" not in said
    assert [other for other in WALLETS.values() if other != wallet and other in said] == []


def test_every_sentence_of_the_templates_has_its_chinese():
    templates = Path(settings.BASE_DIR) / "payments" / "templates" / "cashier"
    found = [
        match[1]
        for template in templates.glob("*.html")
        for match in re.finditer(r"{% translate ['\"](.+?)['\"] %}", template.read_text(encoding="utf-8"))
    ]
    assert len(found) > 10
    for sentence in found:
        with translation.override("zh-hans"):
            assert re.search(r"[\u4e00-\u9fff]", translation.gettext(sentence)), sentence


def test_the_compiled_catalogue_is_that_of_the_source():
    with CATALOGUE.open("rb") as source, CATALOGUE.with_suffix(".mo").open("rb") as compiled:
        written, used = by_context(read_po(source)), by_context(read_mo(compiled))
    assert written == used


def by_context(catalogue: Catalog) -> dict[tuple[str, str], str]:
    """A compiled catalogue gives contexts as bytes."""
    return {
        ((entry.context or b"").decode() if isinstance(entry.context, bytes) else entry.context or "", entry.id): (
            entry.string
        )
        for entry in catalogue
        if entry.id
    }
