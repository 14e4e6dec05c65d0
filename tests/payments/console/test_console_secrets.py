"""No page of the console holds a secret: not opened, and not sealed."""

import base64

import pytest
from django.apps import apps
from django.contrib import admin
from django.urls import reverse

from openplatform.keys import ensure_platform_key
from openplatform.models import PlatformKey
from payments.models import ChannelAccount
from tests import factories
from tests.payments.console import stories
from tests.payments.console.conftest import list_url, page_url, shown

pytestmark = pytest.mark.django_db


def forms_of(blob: bytes) -> list[str]:
    """How some bytes could appear in a page: by their repr, in hex, in base64; short pieces suffice."""
    piece = bytes(blob)[20:44]
    return [repr(piece)[2:-1], piece.hex(), base64.b64encode(bytes(blob))[28:52].decode()]


def secrets_of(account: ChannelAccount) -> list[str]:
    secrets = account.secrets()
    key_lines = secrets["private_key_pem"].splitlines()[1:4]
    return [*key_lines, secrets["apiv3_key"], secrets["app_secret"], *forms_of(account.secrets_sealed)]


def every_page(client) -> list[str]:
    """The lists and pages of every model that the console shows, with one row of each that there is."""
    pages = [shown(client.get(reverse("admin:index")))]
    for model in apps.get_models():
        if not admin.site.is_registered(model):
            continue
        pages.append(shown(client.get(list_url(f"{model._meta.app_label}_{model._meta.model_name}"))))
        pages += [shown(client.get(page_url(row))) for row in model.objects.all()[:1]]
    return pages


def test_no_secret_is_on_any_page_not_even_for_a_superuser(root):
    order = stories.a_long_story()
    factories.a_pay_code()
    ensure_platform_key(now=factories.NOW)
    factories.a_submitting_order(payer_id="o-a-payer-of-ours")  # the newest, whose page is looked at
    account, platform_key = ChannelAccount.objects.first(), PlatformKey.objects.get()
    secrets = [
        *secrets_of(account), *forms_of(platform_key.private_key_sealed), *forms_of(platform_key.private_der()),
        order.cashier_token, order.content_digest, "o-a-payer-of-ours", "o-payer-1",
    ]  # fmt: skip
    pages = every_page(root)
    assert len(pages) > 25
    for page in pages:
        for secret in secrets:
            assert secret not in page
        assert "PRIVATE KEY" not in page


def test_an_accounts_page_shows_its_public_settings_and_says_that_there_are_secrets(auditor):
    account = stories.a_long_story().payments.get().account
    page = shown(auditor.get(page_url(account)))
    assert account.settings["mchid"] in page
    assert "Sealed. They are never shown." in page


def test_lists_and_pages_do_not_even_read_what_is_sealed(auditor, django_assert_max_num_queries):
    account = stories.a_long_story().payments.get().account
    with django_assert_max_num_queries(20) as captured:
        auditor.get(list_url("payments_channelaccount"))
        auditor.get(page_url(account))
    assert not [query["sql"] for query in captured if "secrets_sealed" in query["sql"]]
