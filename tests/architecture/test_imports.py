"""The import contracts hold, and each of them notices the import that it is there to forbid."""

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from tree import PACKAGES, ROOT

CONTRACTS = [
    contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
]
# Contract: a module, and a line that must not be in it.
PLANTS = {
    "config > payments > openplatform > idgen": [
        ("idgen/planted.py", "import openplatform.context"),
        ("openplatform/planted.py", "import payments.money"),
        ("payments/planted.py", "import config.environment"),
    ],
    "The sandbox shares no code with the apps": [("sandbox/planted.py", "import payments.money")],
    "The sandbox imports nothing of ours": [
        ("sandbox/planted.py", "import openplatform.signature"),
        ("sandbox/planted.py", "import idgen"),
    ],
    "Nothing of ours imports the sandbox": [("openplatform/planted.py", "import sandbox.crypto")],
    "The client package stands alone: a merchant can take it away": [
        ("openplatform/client/planted.py", "import openplatform.signature"),
        ("openplatform/client/planted.py", "import django"),
    ],
    "Inside payments: doors > operations | queries > channels | models > states | money > errors": [
        ("payments/operations/planted.py", "import payments.api.views"),
        ("payments/models/planted.py", "import payments.operations.orders"),
        ("payments/channels/planted.py", "import payments.models"),
        ("payments/api/planted.py", "import payments.console"),
    ],
    "Money and states are pure: no framework, no I/O": [
        ("payments/money.py", "import django"),
        ("payments/states.py", "import requests"),
    ],
}


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=tree, capture_output=True, text=True, check=False,
    )  # fmt: skip


def copy_of_the_tree(place: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, place / package, ignore=shutil.ignore_patterns("__pycache__", "*.mo", "static"))
    shutil.copy(ROOT / "pyproject.toml", place)
    return place


def test_every_contract_holds():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


def test_every_contract_has_an_import_that_breaks_it():
    assert set(PLANTS) == set(CONTRACTS)


@pytest.mark.parametrize(
    ("contract", "module", "line"),
    [(contract, module, line) for contract, plants in PLANTS.items() for module, line in plants],
)
def test_a_planted_import_breaks_its_contract(tmp_path: Path, contract: str, module: str, line: str):
    tree = copy_of_the_tree(tmp_path)
    planted = tree / module
    planted.write_text((planted.read_text() if planted.exists() else "") + f"\n{line}\n")

    done = lint(tree)

    assert done.returncode == 1, done.stdout
    assert contract in broken_contracts(done.stdout), done.stdout


def broken_contracts(report: str) -> Sequence[str]:
    """The names that the report calls broken; it wraps long ones at blanks."""
    summary = " ".join(report.partition("dependencies.")[2].partition("Contracts:")[0].split())
    return [name for name in CONTRACTS if f"{name} BROKEN" in summary]
