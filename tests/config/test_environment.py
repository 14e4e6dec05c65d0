"""Reading settings from the environment."""

from pathlib import Path

import pytest

from config import environment as env


def test_a_secret_can_come_from_a_file_and_the_file_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "key").write_text("from the file\n")
    monkeypatch.setenv("SOME_KEY", "from the variable")
    assert env.text("SOME_KEY") == "from the variable"
    monkeypatch.setenv("SOME_KEY_FILE", str(tmp_path / "key"))
    assert env.text("SOME_KEY") == "from the file"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://me:p%40ss@db.example:5433/pay?sslmode=require",
            {"HOST": "db.example", "PORT": "5433", "USER": "me", "PASSWORD": "p@ss", "NAME": "pay"},
        ),
        ("postgres://me@/pay?host=/run/pg", {"HOST": "/run/pg", "PORT": "", "USER": "me", "NAME": "pay"}),
        ("postgresql://[::1]:5432/pay", {"HOST": "::1", "PORT": "5432", "NAME": "pay"}),
    ],
)
def test_a_database_url_becomes_django_settings(url: str, expected: dict[str, str]):
    found = env.database(url, options={"connect_timeout": 3})
    assert {name: found[name] for name in expected} == expected
    assert found["OPTIONS"]["connect_timeout"] == 3


def test_what_a_database_url_asks_for_reaches_the_driver():
    assert env.database("postgresql://db/pay?sslmode=verify-full", options={})["OPTIONS"] == {"sslmode": "verify-full"}


def test_another_database_is_refused_by_name():
    with pytest.raises(ValueError, match="not mysql://"):
        env.database("mysql://db/pay", options={})


@pytest.mark.parametrize(
    ("value", "expected"), [("1", True), ("true", True), ("ON", True), ("0", False), ("no", False)]
)
def test_flags_are_read_as_people_write_them(value: str, expected: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SOME_FLAG", value)
    assert env.flag("SOME_FLAG", default=not expected) is expected


def test_lists_drop_blanks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SOME_LIST", " a, ,b ,")
    assert env.listed("SOME_LIST") == ["a", "b"]
