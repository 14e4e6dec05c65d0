"""Every refusal has an HTTP status and a line in docs/error-codes.md, and every line there is of a refusal."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tree import modules

from openplatform import problems
from openplatform.blocks.values import ListingRefused
from openplatform.key_material import KeyRefused
from openplatform.models.blocks import AlreadyListed, EndsInThePast  # noqa: F401 - further members of the family
from payments.api.errors import STATUS_BY_CODE
from payments.api.wechatpay.errors import WORDS
from payments.errors import PaymentsError
from payments.money import AmountError

ROOT = Path(__file__).parents[2]
DOCUMENTED = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", (ROOT / "docs" / "error-codes.md").read_text(encoding="utf-8")))


def family(base: type) -> Iterator[type]:
    yield base
    for child in base.__subclasses__():
        yield from family(child)


@pytest.mark.parametrize("error", list(family(PaymentsError)), ids=lambda error: error.__name__)
def test_a_domain_refusal_has_a_status_and_a_line(error):
    assert error.code in STATUS_BY_CODE
    assert error.code in DOCUMENTED


@pytest.mark.parametrize(
    "error",
    [*family(problems.Problem), *family(KeyRefused), *family(ListingRefused)],
    ids=lambda error: error.__name__,
)
def test_a_refusal_of_the_open_platform_has_a_line(error):
    assert error.code in DOCUMENTED or error.__name__.startswith("_")


@pytest.mark.parametrize("error", list(family(AmountError)), ids=lambda error: error.__name__)
def test_a_reason_of_an_amount_has_a_line(error):
    assert error.reason in DOCUMENTED


# A code is text like this, wherever it is given: `code = "X"`, `status, code = 400, "X"`, `Problem(code="X")`.
CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
NAMES = {"code", "reason"}


def codes_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in NAMES:
            yield from _text(node.value)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                yield from _assigned(target, node.value)


def _assigned(target: ast.AST, value: ast.AST | None) -> Iterator[str]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for each, given in zip(target.elts, value.elts, strict=False):
            yield from _assigned(each, given)
    elif isinstance(target, ast.Name | ast.Attribute) and _name(target) in NAMES:
        yield from _text(value)


def _name(target: ast.Name | ast.Attribute) -> str:
    return target.id if isinstance(target, ast.Name) else target.attr


def _text(value: ast.AST | None) -> Iterator[str]:
    """The constant, or each of a choice between constants."""
    for node in ast.walk(value) if value is not None else ():
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
            yield node.value


# Whoever reads these may meet them in the document of another part of the world: WeChat Pay's own, and the client's.
NOT_OURS = ("payments/channels/", "openplatform/client/")


@pytest.fixture(scope="module")
def raised():
    own = (tree for name, tree in modules("openplatform", "payments", "config") if not name.startswith(NOT_OURS))
    return {code for tree in own for code in codes_in(tree)} | set(WORDS)  # of the WeChat Pay interface


def test_every_code_in_the_source_has_a_line(raised):
    assert len(raised) > 40
    assert sorted(raised - DOCUMENTED) == []


def test_every_line_is_of_a_code_in_the_source(raised):
    assert sorted(code for code in DOCUMENTED if CODE.fullmatch(code) and code not in raised) == []


@pytest.mark.parametrize(
    "source",
    [
        'class A(Problem):\n    code = "NEW_CODE"',
        'class A(Problem):\n    status, code, default_detail = 400, "NEW_CODE", "x"',
        'class A(Problem):\n    code: ClassVar[str] = "NEW_CODE"',
        'raise Problem("x", code="NEW_CODE")',
        'self.code = "NEW_CODE" if late else "OTHER_CODE"',
        'reason = "NEW_CODE"',
    ],
)
def test_a_code_is_noticed_however_it_is_given(source):
    assert "NEW_CODE" in set(codes_in(ast.parse(source)))
