"""Ids are strings in every JSON body: in the description of the API, in its answers, and why that has to be so."""

import json

import pytest
from django.http import JsonResponse
from django.test import Client
from django.urls import path

from idgen import next_id, to_str
from tests.json_ids import ids_as_numbers, ids_not_described_as_strings

ID = 250_428_769_968_324_731


def numbers(request):
    return JsonResponse({"refunds": [{"refund_no": ID}]})


urlpatterns = [path("openapi/v1/numbers", numbers)]


def test_the_description_of_the_api_knows_ids_only_as_strings(client):
    document = json.loads(client.get("/openapi/v1/schema.json").content)
    assert list(ids_not_described_as_strings(document)) == []
    properties = document["components"]["schemas"]["Order"]["properties"]
    properties["order_no"] = {"type": "integer"}
    properties["trace_id"] = {"$ref": "#/components/schemas/Problem"}
    document["paths"]["/openapi/v1/orders/{order_no}"]["get"]["parameters"][0]["schema"] = {"type": "integer"}
    found = {place.rpartition(".")[2] for place in ids_not_described_as_strings(document)}
    assert found == {"order_no", "trace_id"}
    assert len(list(ids_not_described_as_strings(document))) == 3


@pytest.mark.parametrize(
    ("document", "places"),
    [
        ({"order_no": "1", "amount_fen": 4030, "attempt_no": 2, "is_no": None, "notify": 1}, []),
        ({"order_no": 1}, ["$.order_no"]),
        ({"id": 1.0}, ["$.id"]),
        ({"data": [{"app_id": ID}]}, ["$.data[0].app_id"]),
        ({"order_no": [ID]}, ["$.order_no[0]"]),
        ({"amount_fen": 2**53}, ["$.amount_fen"]),
    ],
)
def test_the_scan_finds_a_number_where_an_id_belongs(document, places):
    assert list(ids_as_numbers(document)) == places


@pytest.mark.urls(__name__)
def test_every_json_answer_that_a_test_receives_is_scanned():
    with pytest.raises(AssertionError, match=r"refunds\[0\].refund_no"):
        Client().get("/openapi/v1/numbers")


def test_a_reader_that_knows_only_doubles_gets_another_id_from_a_number_and_the_same_from_a_string(db):
    """Python as such a reader, in case that no JavaScript is at hand."""
    ids = [ID, next_id()]
    read = [json.loads(json.dumps(number), parse_int=float) for number in ids]
    assert int(read[0]) != ID
    assert int(read[0]) == 250_428_769_968_324_736
    assert [json.loads(json.dumps(to_str(number)), parse_int=float) for number in ids] == [str(n) for n in ids]


@pytest.mark.browser
def test_javascript_gets_another_id_from_a_number_and_the_same_from_a_string(page):
    round_trip = "text => JSON.stringify(JSON.parse(text))"
    assert page.evaluate(round_trip, json.dumps({"order_no": ID})) == '{"order_no":250428769968324740}'
    text = json.dumps({"order_no": to_str(ID)}, separators=(",", ":"))
    assert page.evaluate(round_trip, text) == text
