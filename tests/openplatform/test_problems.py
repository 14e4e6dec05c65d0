"""Refusals have names; bugs have a request id and nothing else."""

import logging

import pytest

from tests.openplatform.harness import is_signed_by_us

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.openplatform.echo_urls")]


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ("state", 409, "INVALID_STATE"),
        ("missing", 404, "NOT_FOUND"),
        ("drf-missing", 404, "NOT_FOUND"),
        ("forbidden", 403, "NO_AUTH"),
        ("database", 503, "TRY_LATER"),
        ("timeout", 503, "TRY_LATER"),
        ("ids", 503, "TRY_LATER"),
        ("bug", 500, "SYSTEM_ERROR"),
    ],
)
def test_each_error_has_its_status_and_code_in_a_signed_problem(caller, how, status, code):
    answer = caller.get(f"/openapi/v1/breaks/{how}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    document = answer.json()
    assert document["code"] == code
    assert document["status"] == status
    assert document["message"] == document["detail"]
    assert set(document) >= {"type", "title", "status", "detail", "code", "message", "request_id", "errors"}
    assert is_signed_by_us(answer)


def test_a_problem_can_carry_more_members(caller):
    assert caller.get("/openapi/v1/breaks/state").json()["order_no"] == "17"


@pytest.mark.parametrize(("how", "seconds"), [("database", "1"), ("ids", "5")])
def test_try_later_says_when(caller, how, seconds):
    assert caller.get(f"/openapi/v1/breaks/{how}").headers["Retry-After"] == seconds


def test_a_bug_is_logged_once_with_its_stack_and_told_to_nobody(caller, caplog):
    with caplog.at_level(logging.WARNING):
        answer = caller.get("/openapi/v1/breaks/bug")
    assert "12345" not in answer.content.decode()
    assert "Traceback" not in answer.content.decode()
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert "12345" in str(errors[0].exc_info[1])


def test_a_database_that_is_away_is_no_bug_and_its_address_is_told_to_nobody(caller, caplog):
    with caplog.at_level(logging.WARNING):
        answer = caller.get("/openapi/v1/breaks/database")
    assert "10.0.0.5" not in answer.content.decode()
    assert [(record.levelname, record.exc_info) for record in caplog.records] == [("WARNING", None)]


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"text": "a", "other": 1}, [("other", "unknown field")]),
        ({}, [("text", "This field is required.")]),
        ({"text": 5}, [("text", "must be a string")]),
        ({"text": True}, [("text", "must be a string")]),
        ({"text": ["a"]}, [("text", "must be a string")]),
        ({"text": "a", "count": "5"}, [("count", "must be a whole number, not a string")]),
        ({"text": "a", "count": 5.0}, [("count", "must be a whole number, not a string")]),
        ({"text": "a", "count": True}, [("count", "must be a whole number, not a string")]),
        ({"text": "a", "flag": "true"}, [("flag", "must be true or false")]),
        ({"text": "a", "flag": 1}, [("flag", "must be true or false")]),
        ({"text": "a", "item": {"name": 1}}, [("item.name", "must be a string")]),
        ({"text": "a", "item": {"name": "a", "x": 1}}, [("item.x", "unknown field")]),
        ({"text": "a", "items": [{"name": "a"}, {"name": 7}]}, [("items.1.name", "must be a string")]),
        (
            {"text": "a", "other": 1, "count": "x"},
            [("other", "unknown field"), ("count", "must be a whole number, not a string")],
        ),
    ],
)
def test_a_field_that_is_not_right_is_named(caller, body, errors):
    answer = caller.post("/openapi/v1/things", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "PARAM_ERROR")
    assert [(error["field"], error["reason"]) for error in answer.json()["errors"]] == errors


def test_a_right_body_passes(caller):
    body = {"text": "a", "count": 5, "flag": False, "item": {"name": "a"}, "items": [{"name": "b"}]}
    assert caller.post("/openapi/v1/things", body).status_code == 200


def test_a_long_name_of_an_unknown_field_comes_back_short_and_many_errors_are_cut(caller):
    answer = caller.post("/openapi/v1/things", {"text": "a"} | {"x" * 5_000 + str(n): 1 for n in range(8)})
    assert max(len(error["field"]) for error in answer.json()["errors"]) == 100
    answer = caller.post("/openapi/v1/things", {"text": "a"} | {f"x{n}": 1 for n in range(500)})
    assert len(answer.json()["errors"]) == 50


def test_an_unknown_address_is_a_problem(caller):
    answer = caller.get("/openapi/v1/nothing-here")
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert answer.json()["code"] == "NOT_FOUND"
