"""The console speaks Chinese and English: every string that an operator may see has its Chinese."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import unfold
from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from django.conf import settings
from django.template.loader import get_template
from django.urls import reverse
from django.utils import translation
from django.utils.translation.template import templatize

from tests.payments.console import stories
from tests.payments.console.conftest import shown

OURS = [
    "payments/models", "payments/channels", "payments/console", "payments/templates/console", "payments/apps.py",
    "openplatform/models",
    "openplatform/console", "openplatform/conformance", "openplatform/templates/console", "openplatform/apps.py",
    "openplatform/key_states.py", "openplatform/scopes.py", "openplatform/templates", "openplatform/alarms",
    "openplatform/lengths.py", "config/console.py", "config/admin.py", "config/templates",
]  # fmt: skip
THEME = ["admin.py", "forms.py", "widgets.py", "mixins", "templates", "contrib/filters"]
NOT_SHOWN = re.compile(r"unfold_crispy")
KEYWORDS = {
    "_": None, "gettext": None, "gettext_lazy": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
}  # fmt: skip
CATALOGUE = settings.BASE_DIR / "config/locale/zh_Hans/LC_MESSAGES"


def strings_of(root: Path, places: list[str]) -> Iterator[tuple[str, str | None, tuple[str, ...]]]:
    """File, context and message (singular, plural) of each translatable string below `places`."""
    for place in places:
        files = [root / place] if (root / place).is_file() else sorted((root / place).rglob("*"))
        for file in files:
            if file.suffix in {".py", ".html"} and not NOT_SHOWN.search(str(file)):
                yield from strings_in(file)


def strings_in(file: Path) -> Iterator[tuple[str, str | None, tuple[str, ...]]]:
    source = file.read_text(encoding="utf-8")
    if file.suffix == ".html":
        calls = re.findall(r" ((?:_|gettext|ngettext|pgettext)\(.*?\)) ", templatize(source), re.DOTALL)
        source = "\n".join(calls)
    for _line, message, _comments, context in extract("python", io.BytesIO(source.encode()), KEYWORDS):
        yield str(file), context, tuple(part for part in parts(message) if part)


def chinese(context: str | None, message: tuple[str, ...]) -> str:
    with translation.override("zh-hans"):
        if context:
            return translation.pgettext(context, message[0])
        return translation.ngettext(message[0], message[1], 2) if len(message) > 1 else translation.gettext(message[0])


@pytest.mark.parametrize(
    ("root", "places", "at_least"), [(settings.BASE_DIR, OURS, 250), (Path(unfold.__file__).parent, THEME, 80)],
    ids=["ours", "the theme's"],
)  # fmt: skip
def test_every_string_has_its_chinese(root, places, at_least):
    strings = set(strings_of(root, places))
    missing = {entry for entry in strings if chinese(entry[1], entry[2]) in entry[2]}
    assert missing == set()
    assert len(strings) >= at_least


def test_a_string_that_has_no_chinese_would_be_noticed(tmp_path):
    (tmp_path / "page.html").write_text('{% load i18n %}{% translate "Nobody has translated this" %}')
    (tmp_path / "code.py").write_text('_("Nor this")\npgettext("status", "nor that")\n')
    strings = set(strings_of(tmp_path, ["page.html", "code.py"]))
    assert {chinese(context, message) for _file, context, message in strings} == {
        "Nobody has translated this", "Nor this", "nor that",
    }  # fmt: skip


def entries(catalogue: Catalog) -> dict[tuple[str | None, tuple[str, ...]], tuple[str, ...]]:
    """By context and message; a compiled catalogue gives contexts as bytes."""
    return {
        (entry.context.decode() if isinstance(entry.context, bytes) else entry.context, parts(entry.id)): parts(
            entry.string
        )
        for entry in catalogue
        if entry.id
    }


def parts(text: str | list[str] | tuple[str, ...]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


def test_the_compiled_catalogue_is_that_of_the_readable_one():
    with (CATALOGUE / "django.po").open("rb") as po, (CATALOGUE / "django.mo").open("rb") as mo:
        readable, compiled = read_po(po, locale="zh_Hans"), read_mo(mo)
    assert entries(compiled) == entries(readable), "run: pybabel compile -D django -d config/locale"


def test_a_translation_names_the_same_values_as_its_original():
    with (CATALOGUE / "django.po").open("rb") as po:
        for (_context, original), translated in entries(read_po(po, locale="zh_Hans")).items():
            names = [set(re.findall(r"%\(\w+\)[sd]", text)) for text in (original[-1], translated[0])]
            assert names[0] == names[1], original


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("zh-hans", ["订单", "付款了吗？", "时间线", "借方", "沙箱", "待付款"]),
        ("en", ["Orders", "Was it paid?", "Timeline", "Debit"]),
    ],
    ids=["zh", "en"],
)
def test_the_page_of_an_order_speaks_the_chosen_language(auditor, settings, language, words):
    settings.CASHIER_SANDBOX = True
    order = stories.a_long_story()
    auditor.cookies["django_language"] = language
    page = shown(auditor.get(reverse("admin:payments_order_change", args=[order.pk])))
    assert [word for word in words if word not in page] == []


@pytest.mark.django_db
def test_switching_the_language_leads_back_to_the_same_page(auditor):
    url = reverse("admin:payments_order_changelist") + "?status=PAYING"
    page = shown(auditor.get(url))
    assert f'name="next" type="hidden" value="{url}"' in page
    response = auditor.post(reverse("set_language"), {"language": "zh-hans", "next": url})
    assert response.url == url
    assert "应用筛选" in shown(auditor.get(url))


def test_the_overview_is_ours_and_not_the_themes():
    assert get_template("admin/index.html").origin.name.startswith(str(settings.BASE_DIR / "config" / "templates"))
