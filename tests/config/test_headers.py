"""The policy for browsers is on every answer, whoever made it."""

import pytest
from django.test import Client

pytestmark = pytest.mark.urls("config.urls")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "host", "status"),
    [
        ("/cashier/x", "localhost", 404),
        ("/cashier/x", "evil.example", 400),
        ("/static/cashier/icon.svg", "localhost", 200),
        ("/static/nothing", "localhost", 404),
        ("/nothing", "localhost", 404),
        ("/console/login/", "localhost", 200),
        ("/healthz", "localhost", 200),
    ],
)
def test_every_answer_has_the_policy_for_browsers(path: str, host: str, status: int):
    answer = Client().get(path, HTTP_HOST=host)
    assert answer.status_code == status
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Frame-Options"] == "DENY"
