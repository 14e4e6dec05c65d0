"""docs/gate.md names a test for each rule of the gate; each of them is there."""

import ast
import re

from tree import ROOT, modules

PAGE = (ROOT / "docs" / "gate.md").read_text(encoding="utf-8")
RULES = re.findall(r"^\| (?!\*\*|rule|---)(.+?) \| (.*?) \|$", PAGE, re.MULTILINE)


def test_every_rule_names_a_test_that_is_there():
    tests = {
        node.name
        for _name, tree in modules("tests")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    assert len(RULES) > 40
    named = {rule: re.findall(r"`(test_\w+)`", cell) for rule, cell in RULES}
    assert [rule for rule, found in named.items() if not found or not set(found) <= tests] == []
