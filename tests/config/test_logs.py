"""What a reader of logs may not learn: payers' links, one-time codes, secrets in a channel's URL."""

import copy
import io
import json
import logging
import logging.config
import socket
from collections.abc import Iterator

import pytest
from django.conf import settings as django_settings
from django.test import Client

from openplatform import transport
from tests.openplatform.merchants import merchant_server

TOKEN = "XQrFMbRgBPmsiUsB9q7B9mLgw6aos2YZ3fzkhoCzLas"  # of the shape of a real one


@pytest.fixture(params=["json", "text"])
def log(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """What a process prints: our own handler with one of our two formats, beside pytest's."""
    configured = copy.deepcopy(django_settings.LOGGING)  # the configurator takes it apart
    handler = logging.StreamHandler(io.StringIO())
    configurator = logging.config.DictConfigurator(configured)
    handler.setFormatter(configurator.configure_formatter(configured["formatters"][request.param]))
    handler.addFilter(configurator.configure_filter(configured["filters"]["context"]))
    logging.getLogger().addHandler(handler)
    yield handler.stream
    logging.getLogger().removeHandler(handler)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path", [f"/cashier/{TOKEN}", f"/cashier/{TOKEN}/qr.svg", f"/pay/{TOKEN[:22]}", f"/pay//{TOKEN}"]
)
def test_a_payers_link_is_not_in_a_log_line(log: io.StringIO, path: str):
    assert Client().get(path).status_code == 404
    assert "Not Found: /" in log.getvalue()
    assert TOKEN[:22] not in log.getvalue()


@pytest.mark.django_db
def test_a_one_time_code_is_not_in_a_log_line(log: io.StringIO):
    assert Client().get("/pay/oauth?code=SECRETCODE&state=0").status_code == 403
    assert "Forbidden: /pay/oauth" in log.getvalue()
    assert "SECRETCODE" not in log.getvalue()


def test_a_stack_is_masked_too_and_still_names_its_files(log: io.StringIO):
    try:
        int(f"https://pay.example/cashier/{TOKEN}?lang=en")
    except ValueError:
        logging.getLogger("payments").exception("in /app/payments/cashier/orders.py")
    assert "/app/payments/cashier/orders.py" in log.getvalue()
    assert "test_logs.py" in log.getvalue()
    assert TOKEN not in log.getvalue()


@pytest.mark.parametrize("log", ["json"], indirect=True)
def test_a_line_is_one_json_object_with_its_request(log: io.StringIO):
    logging.getLogger("payments").warning("at /pay/%s", TOKEN)
    line = json.loads(log.getvalue())
    assert (line["level"], line["logger"], line["message"]) == ("WARNING", "payments", "at /pay/…")
    assert {"time", "request_id", "trace_id"} <= line.keys()


def test_no_library_prints_the_address_that_is_called(log: io.StringIO):
    """The channel's protocol has the app's secret in the query of one call."""

    def answer(connection: socket.socket) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n bad: x\r\nno colon here\r\n\r\n"
        connection.sendall(head)

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    try:
        with merchant_server(answer) as server:
            transport.send(
                method="GET", url=f"http://{server.host}/sns/oauth2/access_token?secret=TOPSECRET", headers={},
                deadline_s=3, connect_s=1, bytes_max=100, private_hosts=frozenset([server.host]),
            )  # fmt: skip
    finally:
        root.setLevel(level)
    assert "TOPSECRET" not in log.getvalue()
