"""The whole API against its own description: what schemathesis makes of it, good and bad, signed as a merchant signs.

Nothing may be a server error, an undocumented answer, or of another shape than documented. Seeded and bounded.
"""

from collections import defaultdict
from io import BytesIO
from urllib.parse import quote

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig

from openplatform.models import RateRule
from openplatform.notifications import owe
from openplatform.scopes import Scope
from tests import factories
from tests.openplatform.harness import Caller, an_ed25519_key

PLACEHOLDER = "sign this request"
EXAMPLES_MAX = 10
# What a schema cannot say: amounts that are a number of fen, public hosts, exactly one of two names, a key in
# PEM. These operations may refuse what the schema allows; every other one must take it.
PROVE = "POST /openapi/v1/keys/{serial_no}/prove"
SAYS_LESS_THAN_IT_ASKS = (
    "POST /openapi/v1/orders", "POST /openapi/v1/refunds", "POST /openapi/v1/keys",
    "POST /openapi/v1/keys/{serial_no}/retire", "POST /openapi/v1/notifications/replay", PROVE,
)  # fmt: skip
NEVER_SUCCEEDS = {PROVE}  # no program makes up a signature over a challenge
CONFIG = {
    "seed": 20260102,
    # It takes our signature for one that it made up itself; tests/openplatform/test_gate.py has that check.
    "checks": {
        "ignored_auth": {"enabled": False},
        # 422: the generator gives one Idempotency-Key to two requests, now and then.
        "positive_data_acceptance": {"expected-statuses": ["2xx", "401", "403", "404", "409", "422", "429", "503"]},
    },
    "operations": [
        {"include-name": name, "checks": {"positive_data_acceptance": {"enabled": False}}}
        for name in SAYS_LESS_THAN_IT_ASKS
    ],
}

seen = defaultdict(set)


class SigningApp:
    """Our application behind a signer: it signs each request that asks for it, exactly as it has come."""

    def __init__(self, caller):
        self.application = get_wsgi_application()
        self.caller = caller

    def __call__(self, environ, start_response):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        environ["RAW_URI"] = target = raw_target(environ)
        if environ.get("HTTP_AUTHORIZATION") == PLACEHOLDER:
            environ["HTTP_AUTHORIZATION"] = self.caller.authorization(environ["REQUEST_METHOD"], target, body)
        return self.application(environ, start_response)


def raw_target(environ):
    """The request line's target; the test client of this tool leaves the query out of it."""
    path = quote(environ["PATH_INFO"].encode("latin-1"), safe="/-._~:@!$&'()*+,;=")
    return f"{path}?{environ['QUERY_STRING']}" if environ.get("QUERY_STRING") else path


@pytest.fixture
def known(transactional_db, platform_key, settings):
    """A caller, and the numbers of things that are its own, for a number at random would always be NOT_FOUND."""
    settings.CREATE_WAIT_S = settings.CREATE_WAIT_MAX_S = 0
    RateRule.objects.all().delete()  # else a quick machine hears 429 and nothing else
    app = factories.an_app()
    example = "A20260102000001"  # of the documented refund
    orders = [
        factories.a_paid_order(app=app, out_trade_no=example),
        factories.a_paying_order(app=app),
        factories.a_submitting_order(app=app),
    ]
    refund = factories.a_submitting_refund(order=orders[0])
    with transaction.atomic():
        notice = owe(
            app=app, event_type="order.succeeded", object_no=orders[0].pk, object_version=3, data={"a": 1},
            notify_url="https://shop.example/n", now=factories.NOW,
        )  # fmt: skip
    numbers = {
        "order_no": [str(order.pk) for order in orders], "out_trade_no": [order.out_trade_no for order in orders],
        "refund_no": [str(refund.pk)], "out_refund_no": [refund.out_refund_no], "event_id": [str(notice.pk)],
    }  # fmt: skip
    others = [Caller(app, an_ed25519_key(), scopes=[Scope.QUERIES_READ]).serial_no for _ in range(3)]
    return Caller(app, scopes=Scope.values), numbers | {"serial_no": others}


@pytest.fixture
def api(known):
    app = SigningApp(known[0])
    return schemathesis.openapi.from_wsgi("/openapi/v1/schema.json", app, config=SchemathesisConfig.from_dict(CONFIG))


described = schemathesis.pytest.from_fixture("api")


@described.parametrize()
@settings(
    max_examples=EXAMPLES_MAX, deadline=None, derandomize=True, database=None,
    phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
)  # fmt: skip
def test_every_answer_is_one_that_is_documented(case, known):
    """Each is signed, unless it is about a header that is missing; and asks for things that are there, now and then."""
    is_positive = case.meta.generation.mode is GenerationMode.POSITIVE
    if is_positive or "Authorization" in (case.headers or {}):
        case.headers = {**(case.headers or {}), "Authorization": PLACEHOLDER}
    for name, value in (case.path_parameters or {}).items():
        choices = [value, *known[1].get(name, [])]
        if is_positive:
            case.path_parameters[name] = choices[len(str(value)) % len(choices)]
    answer = case.call()
    seen[case.operation.label].add(answer.status_code)
    case.validate_response(answer)


def test_it_came_as_far_as_every_operation():
    """The test above would also pass if nothing were ever signed, for a 401 is documented everywhere."""
    assert len(seen) >= 11
    for label, statuses in seen.items():
        assert statuses & {200, 201, 202} or label in NEVER_SUCCEEDS, label
        other = "GET" if label.startswith("POST") else "POST"
        assert 405 in statuses or f"{other} {label.split()[1]}" in seen, label
