"""What the sandbox's own tests share: a merchant that calls it, a server that receives its notifications."""

from collections.abc import Iterator

import pytest

from tests.sandbox.alipay_callers import AlipayCaller
from tests.sandbox.callers import Caller, Receiver
from tests.sandboxes import RunningSandbox, fresh_sandbox, running_sandbox, session_sandbox

__all__ = ["fresh_sandbox", "running_sandbox", "session_sandbox"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture
def caller(running_sandbox: RunningSandbox, receiver: Receiver) -> Iterator[Caller]:
    with Caller(running_sandbox, notify_url=receiver.url) as merchant:
        yield merchant


@pytest.fixture
def alipay(running_sandbox: RunningSandbox, receiver: Receiver) -> Iterator[AlipayCaller]:
    """In key mode. Its receiver takes notifications as Alipay wants it."""
    receiver.status, receiver.body = 200, b"success"
    with AlipayCaller(running_sandbox, notify_url=receiver.url) as merchant:
        yield merchant


@pytest.fixture
def alipay_by_certificate(running_sandbox: RunningSandbox, receiver: Receiver) -> Iterator[AlipayCaller]:
    receiver.status, receiver.body = 200, b"success"
    with AlipayCaller(running_sandbox, notify_url=receiver.url, in_cert_mode=True) as merchant:
        yield merchant
