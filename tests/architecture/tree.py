"""The tree as the architecture tests see it: its own files, and their syntax."""

import ast
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("config", "idgen", "openplatform", "payments", "sandbox")


@cache
def files() -> tuple[Path, ...]:
    """Every file that belongs to the project: what git has or would take; without git, what is not made by us."""
    if shutil.which("git") and (ROOT / ".git").exists():
        told = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, check=True, text=True,
        ).stdout  # fmt: skip
        found = [ROOT / name for name in told.split("\0") if name]
    else:
        found = [path for path in ROOT.rglob("*") if not _is_made(path)]
    return tuple(sorted(path for path in found if path.is_file()))


def _is_made(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    return parts[0] in {".venv", ".local", ".git"} or "__pycache__" in parts or parts[0].endswith("_cache")


def modules(*places: str) -> Iterator[tuple[str, ast.Module]]:
    """Path and syntax of every module at or below `places`, migrations left out."""
    for path in files():
        name = path.relative_to(ROOT).as_posix()
        below = any(name == place or name.startswith(f"{place}/") for place in places)
        if below and name.endswith(".py") and "/migrations/" not in name:
            yield name, ast.parse(path.read_text(encoding="utf-8"))
