"""The description of the API says how to sign, what can go wrong, and shows an example of each that is true."""

import json
import re

import jsonschema
import pytest
from django.utils import timezone

from openplatform.api.key_serializers import OfferSerializer
from openplatform.api.serializers import NotificationQuerySerializer
from openplatform.api.views import _schema
from payments.api.serializers import OrderSerializer, RefundSerializer


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
            assert ("Retry-After" in headers) is (status in {"409", "429", "503"})


def test_the_query_of_a_list_is_described(document):
    parameters = document["paths"]["/openapi/v1/notifications"]["get"]["parameters"]
    found = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
    assert found == {"cursor", "limit", "status", "event_type", "object_no"}


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


def examples(document):
    """Every example of every operation: where it stands, its schema, its value."""
    for path, method, operation in operations(document):
        contents = {"request": operation.get("requestBody", {}).get("content", {})}
        contents |= {status: response["content"] for status, response in operation["responses"].items()}
        for where, content in contents.items():
            for media in content.values():
                for example in media.get("examples", {}).values():
                    yield f"{method} {path} {where}", media["schema"], example["value"]


def test_every_operation_shows_each_of_its_answers_and_refusals(document):
    for path, method, operation in operations(document):
        for status, response in operation["responses"].items():
            for media in response["content"].values():
                assert media.get("examples"), (path, method, status)
        if "requestBody" in operation:
            assert operation["requestBody"]["content"]["application/json"]["examples"], (path, method)
        statuses = set(operation["responses"])
        assert statuses & {"200", "201", "202"}
        assert statuses & {"400", "401", "404"}


def test_every_example_is_of_its_shape(document):
    checked = 0
    for where, schema, value in examples(document):
        validator = jsonschema.Draft202012Validator(schema | {"components": document["components"]})
        assert [f"{where}: {error.message}" for error in validator.iter_errors(value)] == []
        checked += 1
    assert checked > 100


def test_an_example_that_is_not_of_its_shape_would_be_noticed(document):
    schema = {"$ref": "#/components/schemas/Order", "components": document["components"]}
    *_others, (_where, _schema, order) = (
        each for each in examples(document) if "/orders/{order_no} 200" in each[0] and each[0].startswith("get")
    )
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(order)
    assert not validator.is_valid(order | {"amount_fen": "4030"})
    assert not validator.is_valid({name: order[name] for name in order if name != "status"})


def test_the_examples_of_requests_are_requests_that_we_take(document):
    """But for the envelope, which is shortened: what it lacks to be opened is all that is wrong with it."""
    from openplatform import strictjson

    for path, serializer in (("orders", OrderSerializer), ("refunds", RefundSerializer), ("keys", OfferSerializer)):
        shown = document["paths"][f"/openapi/v1/{path}"]["post"]["requestBody"]["content"]["application/json"]
        for name, example in shown["examples"].items():
            body = strictjson.loads(json.dumps(example["value"]).encode())
            asked = serializer(data=body, context={"now": timezone.now(), "app_id": 1})
            asked.is_valid()
            assert set(asked.errors) == ({"payer"} if name == "Envelope" else set()), asked.errors


def test_every_operation_has_a_name_a_summary_and_its_headers(document):
    names = [operation["operationId"] for _path, _method, operation in operations(document)]
    assert len(set(names)) == len(names) >= 11
    assert all(re.fullmatch(r"[a-z]+([A-Z][a-z]+)+", name) for name in names)
    for path, method, operation in operations(document):
        assert operation["summary"], (path, method)
        headers = {each["name"] for each in operation["parameters"] if each["in"] == "header"}
        assert headers >= {"Fenpay-Serial"} | ({"Idempotency-Key"} if method == "post" else set()), (path, method)
        for status, response in operation["responses"].items():
            assert response["headers"]["X-Request-Id"]["required"]
            assert response["headers"]["Fenpay-Signature"]["required"] is (status[0] == "2")


def test_unknown_fields_are_said_to_be_refused_and_new_ones_in_answers_are_not(document):
    schemas = document["components"]["schemas"]
    for name in ("CreateOrder", "CreateRefund", "Payer"):
        assert schemas[name]["additionalProperties"] is False
    assert "additionalProperties" not in schemas["Order"]
    assert "additionalProperties" not in schemas["Problem"]


def test_it_says_where_the_api_is_and_where_tests_are(document, client, settings):
    assert document["servers"] == [{"url": settings.PUBLIC_BASE_URL}]
    assert "Repeat without fear" in document["info"]["description"]
    settings.TEST_PLATFORM = True
    _schema.cache_clear()
    again = json.loads(client.get("/openapi/v1/schema.json").content)
    assert again["servers"][1]["url"] == f"{settings.PUBLIC_BASE_URL}/sandbox"
    _schema.cache_clear()


def test_the_names_of_a_query_are_those_that_the_view_knows(document):
    from openplatform.api.views import NotificationsView

    assert NotificationsView.query_names == set(NotificationQuerySerializer().fields)
