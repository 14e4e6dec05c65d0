"""docs/adding-a-channel.md is true: its excerpts are in the files that they name, its files and names exist."""

import re

import pytest
from tree import ROOT, files

from payments.channels.registry import CHANNELS

PAGE = (ROOT / "docs" / "adding-a-channel.md").read_text(encoding="utf-8")
DEPLOY = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
GAP = "…"
EXCERPTS = re.findall(r"^```python (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
INLINE = set(re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", PAGE, flags=re.MULTILINE | re.DOTALL)))
PATHS = sorted(code for code in INLINE if re.fullmatch(r"(?:config|docs|payments|sandbox|tests)/[\w./-]+", code))
NAMES = sorted(code for code in INLINE if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", code) and len(code) > 3)
SOURCE = "\n".join(
    path.read_text(encoding="utf-8")
    for path in files()
    if path.suffix in {".py", ".js"} and path.relative_to(ROOT).parts[0] in {"config", "payments", "sandbox"}
)


def lines_of(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


def is_in(part, text):
    """Whether the lines of `part` stand in `text` one after the other, however far they are indented."""
    wanted, there = lines_of(part), lines_of(text)
    return any(there[start : start + len(wanted)] == wanted for start in range(len(there)))


@pytest.mark.parametrize(("place", "excerpt"), EXCERPTS, ids=lambda value: value.splitlines()[0][:40])
def test_an_excerpt_is_in_the_file_that_it_names(place, excerpt):
    text = (ROOT / place).read_text(encoding="utf-8")
    parts = re.split(rf"^{GAP}$", excerpt, flags=re.MULTILINE)
    assert [part for part in parts if not is_in(part, text)] == []


def test_an_excerpt_that_is_not_true_is_noticed():
    text = "def a():\n    return 1\n\n\ndef b():\n    return 2\n"
    assert is_in("return 1\n\ndef b():", text)
    assert not is_in("return 1\nreturn 2", text)
    assert not is_in("return 3", text)


def test_the_page_has_an_excerpt_of_every_file_of_the_folder():
    shown = {place for place, _excerpt in EXCERPTS}
    folder = {path.relative_to(ROOT).as_posix() for path in files() if "payments/channels/unionpay/" in path.as_posix()}
    assert {place for place in folder if not place.endswith("__init__.py")} - shown == set()


@pytest.mark.parametrize("place", PATHS)
def test_a_file_that_is_named_exists(place):
    assert (ROOT / place).exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_quoted_exists(name):
    assert re.search(rf"\b{re.escape(name.rpartition('.')[2])}\b", SOURCE)


def test_enough_of_the_page_is_held_to_the_source():
    assert (len(EXCERPTS), len(PATHS), len(NAMES)) >= (10, 20, 30)


@pytest.mark.parametrize("channel", list(CHANNELS))
def test_each_channels_worker_and_account_are_in_the_deployment_guide(channel):
    shape = CHANNELS[channel].account_shape
    assert f"-Q channel.{channel}`" in DEPLOY
    names = shape.settings | shape.settings_maybe | shape.secrets | shape.secrets_maybe
    assert sorted(name for name in names if f"`{name}`" not in DEPLOY) == []
