"""Running the conformance kit against a server of a test."""

import pytest
from django.utils import timezone

from openplatform.blocks import lists
from openplatform.conformance import shots
from openplatform.conformance.run import new_run, run_conformance
from openplatform.models import NotifyHost
from openplatform.models.notification import NotificationShape

NATIVE, WECHATPAY = NotificationShape.NATIVE, NotificationShape.WECHATPAY
HOST = "127.0.0.1"


@pytest.fixture(autouse=True)
def in_a_hurry(request, monkeypatch):
    """A slow body in a tenth of its two seconds, but for the one test that is about a real server."""
    if "real" not in request.node.name:
        monkeypatch.setattr(shots, "SLOW_S", 0.2)


def its_host(app, host=HOST):
    """The app's servers are there: an operator says so."""
    if not NotifyHost.live(now=timezone.now()).filter(app=app, value=host).exists():
        NotifyHost.register(app=app, text=host, reason="its servers", by="olga", now=timezone.now())
        lists.forget()


def new(app, url, *, shape=NATIVE, now=None, **kwargs):
    return new_run(app=app, url=url, shape=shape, by="olga", now=now or timezone.now(), **kwargs)


def asked(app, url, **kwargs):
    """A run that nobody has begun, at a server that is the app's."""
    its_host(app)
    return new(app, url, **kwargs)


def run_against(url, app, *, shape=NATIVE, **kwargs):
    """The run, and grade and finding of each case."""
    run = asked(app, url, shape=shape)
    done = run_conformance(run_id=run.pk, clock=timezone.now, **kwargs)
    assert done.finished_at is not None
    return done, found_by(done)


def found_by(run):
    return {result.case: (result.grade, result.finding) for result in run.results.all()}


def those(found, grade):
    return {case for case, (its, _finding) in found.items() if its == grade}


def reasons(found, grade):
    return {finding for its, finding in found.values() if its == grade}
