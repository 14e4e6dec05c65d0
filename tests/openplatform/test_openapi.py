"""The description of the API says how to sign and what can go wrong."""

import json

import pytest

from openplatform.api.views import _schema


@pytest.fixture
def document(client):
    answer = client.get("/openapi/v1/schema.json")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/vnd.oai.openapi+json"
    return json.loads(answer.content)


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_it_is_openapi_3_1_for_everybody_and_only_of_the_open_api(document):
    assert document["openapi"].startswith("3.1")
    assert document["paths"]
    assert all(path.startswith("/openapi/v1/") for path in document["paths"])


def test_every_operation_is_secured_by_the_signature(document):
    (scheme,) = document["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "Authorization")
    assert "FENPAY-SHA256-RSA2048" in scheme["description"]
    for path, method, operation in operations(document):
        assert operation["security"] == [{"signature": []}], (path, method)


def test_every_operation_tells_its_refusals_as_problems(document):
    for path, method, operation in operations(document):
        wanted = {"400", "401", "403", "405", "500", "503"} | ({"411", "413", "415"} if method == "post" else set())
        assert wanted <= set(operation["responses"]), (path, method)
        for status in wanted:
            content = operation["responses"][status]["content"]
            assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}


def test_every_answer_of_every_operation_tells_the_limits_and_a_429_when_to_come_back(document):
    for path, method, operation in operations(document):
        assert "429" in operation["responses"], (path, method)
        for status, answer in operation["responses"].items():
            headers = set(answer["headers"])
            assert {"RateLimit", "RateLimit-Policy"} <= headers, (path, method, status)
            assert ("Retry-After" in headers) is (status in {"429", "503"})


def test_the_query_of_a_list_is_described(document):
    parameters = document["paths"]["/openapi/v1/notifications"]["get"]["parameters"]
    assert {parameter["name"] for parameter in parameters} == {"cursor", "limit", "status", "event_type", "object_no"}
    assert all(parameter["in"] == "query" for parameter in parameters)


def test_it_does_not_change_between_two_makings_nor_with_the_readers_language(client, document):
    _schema.cache_clear()
    again = client.get("/openapi/v1/schema.json", headers={"Accept-Language": "zh-hans"})
    assert json.loads(again.content) == document


def test_no_number_of_ours_is_a_json_number(document):
    """An id has more digits than a JavaScript number keeps."""
    named = [
        (schema, name, field)
        for schema, described in document["components"]["schemas"].items()
        for name, field in described.get("properties", {}).items()
        if name == "id" or name.endswith(("_no", "_id"))
    ]
    assert len(named) > 20
    wrong = [(schema, name) for schema, name, field in named if "string" not in types_of(field)]
    assert wrong == [("Attempt", "attempt_no")]  # counts from 1


def types_of(field):
    said = field.get("type", [])
    return said if isinstance(said, list) else [said]


def test_only_a_get_reads_it(client):
    answer = client.post("/openapi/v1/schema.json")
    assert (answer.status_code, answer.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
