"""Whatever a payer can read is in the Chinese catalogue, and the compiled catalogue is the written one."""

import gettext
import re
from pathlib import Path

from babel.messages.pofile import read_po

SANDBOX = Path(__file__).parents[2] / "sandbox"
CATALOGUE = SANDBOX / "locale" / "zh_Hans" / "LC_MESSAGES"
IN_TEMPLATES = re.compile(r'{%\s*translate\s+"([^"]+)"')
BLOCKS = re.compile(r"{%\s*blocktranslate[^%]*%}(.*?){%\s*endblocktranslate\s*%}", re.DOTALL)
IN_PYTHON = re.compile(r'\b_\(\s*"([^"]+)"\s*\)')


def texts() -> set[str]:
    found: set[str] = set()
    for template in SANDBOX.glob("templates/**/*.html"):
        source = template.read_text(encoding="utf-8")
        found |= set(IN_TEMPLATES.findall(source))
        found |= {re.sub(r"{{\s*(\w+)\s*}}", r"%(\1)s", block) for block in BLOCKS.findall(source)}
    for module in SANDBOX.glob("**/*.py"):
        found |= set(IN_PYTHON.findall(module.read_text(encoding="utf-8")))
    return found


def test_every_text_is_translated_and_none_is_left_over() -> None:
    with (CATALOGUE / "django.po").open("rb") as file:
        written = {message.id: message.string for message in read_po(file) if message.id}
    assert len(texts()) > 40
    assert texts() == set(written)
    assert all(written.values())


def test_the_compiled_catalogue_is_up_to_date() -> None:
    with (CATALOGUE / "django.po").open("rb") as file:
        written = {message.id: message.string for message in read_po(file) if message.id}
    with (CATALOGUE / "django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    assert {text: compiled.gettext(text) for text in written} == written
