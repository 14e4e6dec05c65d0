"""docs/traps.md lists every trap, and each row names tests that are there."""

import ast
import re
from functools import cache

import pytest
from tree import ROOT

PAGE = (ROOT / "docs" / "traps.md").read_text(encoding="utf-8")
TABLES = [re.findall(r"^\| (?!---)(.+) \|$", part, re.MULTILINE)[1:] for part in PAGE.split("\n## ")[1:]]
ROWS = [row.split(" | ") for table in TABLES for row in table]
NUMBERS = [range(1, 47), range(1, 19)]
WITH_THE_BILLS = {"34", "35", "36", "37", "38", "13", "14", "15"}


def test_the_page_has_every_trap_every_value_and_every_mistake():
    protocols, values, mistakes = TABLES
    assert [int(row.split(" | ")[0]) for row in protocols] == list(NUMBERS[0])
    assert [int(row.split(" | ")[0]) for row in values] == list(NUMBERS[1])
    assert len(mistakes) == 20


@cache
def names_in(file: str) -> frozenset[str]:
    path = ROOT / file
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module(body=[], type_ignores=[])
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_a_row_names_tests_that_are_there(row):
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row[-1])
    if not named:
        assert row[-1] == "with the bills"
        assert row[0] in WITH_THE_BILLS
    assert [f"{file}::{name}" for file, name in named if name not in names_in(file)] == []
    assert re.sub(r"`[^`]+`", "", row[-1]).strip() in {"", "with the bills"}, "nothing beside the tests"
