"""One call on the wire: signed anew at each attempt, bounded in time and size, proven before it is believed."""

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
import urllib3

from openplatform.client import retries, signing
from openplatform.client.config import Config
from openplatform.client.errors import ApiError, ClientError, NoAnswer, NotVerified
from openplatform.client.retries import Retries

ANSWER_BYTES_MAX = 4_194_304
CHUNK_BYTES = 65_536

Document = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Call:
    """What is to be done. `may_repeat`: however often it arrives, it counts once."""

    method: str
    target: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    may_repeat: bool

    @property
    def is_write(self) -> bool:
        return self.method != "GET"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back, not proven yet. `nonce` is that of the request."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    nonce: str

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300


class _Session(requests.Session):
    """Without proxies from the environment, and deaf to redirects, for to look at one it would read all of its body."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - its signature
        return None


class Sender:
    """Sends calls for one app. Threads may share it: each has connections of its own."""

    def __init__(self, config: Config, policy: Retries, *, sleep: Callable[[float], None]) -> None:
        self._config = config
        self._policy = policy
        self._sleep = sleep
        self._own = threading.local()

    def send(self, call: Call, *, policy: Retries | None = None) -> Document:
        """The proven answer's document. Raises ApiError, NotVerified or NoAnswer."""
        policy = policy or self._policy
        ends_at, tries, in_doubt = time.monotonic() + policy.deadline_s, 0, False
        while True:
            tries += 1
            try:
                answer = self._attempt(call, policy, ends_at=ends_at)
                if answer.is_ok:
                    self._verify(answer)
                    return _document(answer)
                problem: ClientError = self._refusal(answer, call)
            except (NoAnswer, NotVerified) as error:
                problem = error
            # An attempt that was lost may have been carried out although the next one was refused.
            this_in_doubt = call.is_write and problem.may_have_happened
            in_doubt = problem.may_have_happened = in_doubt or this_in_doubt
            pause_s = policy.pause_s(tries=tries, asked_s=getattr(problem, "retry_after_s", None))
            repeats = _is_passing(problem) and (call.may_repeat or not in_doubt)
            if not repeats or tries >= policy.tries_max or time.monotonic() + pause_s >= ends_at:
                raise problem
            self._sleep(pause_s)

    def close(self) -> None:
        """Close this thread's connections."""
        self._session().close()

    def _session(self) -> requests.Session:
        """This thread's own. Not one from before a fork: two processes on one connection would mix up their answers."""
        if getattr(self._own, "pid", None) != os.getpid():
            self._own.session, self._own.pid = _Session(), os.getpid()
        session: requests.Session = self._own.session
        return session

    def _attempt(self, call: Call, policy: Retries, *, ends_at: float) -> Answer:
        """Raises NoAnswer; `may_have_happened` is False in it when no connection was made."""
        nonce = signing.new_nonce()
        signed = signing.request_headers(
            self._config, method=call.method, target=call.target, body=call.body, nonce=nonce
        )
        left_s = max(0.01, ends_at - time.monotonic())
        try:
            with self._session().request(
                call.method, self._config.base_url + call.target, data=call.body or None,
                headers={**call.headers, **signed}, timeout=(min(policy.connect_s, left_s), min(policy.read_s, left_s)),
                allow_redirects=False, stream=True,
            ) as came:  # fmt: skip
                body = _read(came, ends_at=ends_at)
                return Answer(status=came.status_code, headers=came.headers, body=body, nonce=nonce)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            text = f"{call.method} {call.target}: nobody answered ({type(error).__name__})"
            raise NoAnswer(text, may_have_happened=_was_sent(error)) from error

    def _refusal(self, answer: Answer, call: Call) -> ApiError:
        """Raises NotVerified for a refusal that bears a wrong signature, or that no platform would write."""
        is_verified = signing.is_signed(answer.headers)
        if is_verified:
            self._verify(answer)
        document = _document(answer)
        is_plain_no = is_verified and answer.status < 500 and document.get("code") not in retries.CODES
        return ApiError(
            status=answer.status, document=document, is_verified=is_verified,
            may_have_happened=call.is_write and not is_plain_no,
            retry_after_s=retries.retry_after_s(answer.headers), clock_s=time.time(),
        )  # fmt: skip

    def _verify(self, answer: Answer) -> None:
        """Raises NotVerified: then anything may have happened to a write."""
        try:
            signing.verify(self._config, headers=answer.headers, body=answer.body, asked_with_nonce=answer.nonce)
        except NotVerified as error:
            raise NotVerified(error.message, may_have_happened=True) from error


def _read(came: requests.Response, *, ends_at: float) -> bytes:
    """The body, unless it is too long or too slow. Raises requests' and urllib3's errors.

    By `read1`, which gives what has come: `iter_content` would wait for a whole chunk, however slowly it drips.
    """
    body = b""
    while chunk := came.raw.read1(CHUNK_BYTES):
        body += chunk
        if len(body) > ANSWER_BYTES_MAX or time.monotonic() > ends_at:
            raise requests.Timeout("the answer is too long, or took too long")
    return body


def _was_sent(error: Exception) -> bool:
    """False only when no connection was made: then no byte of the request has left."""
    cause = error.args[0] if error.args else None
    never = isinstance(getattr(cause, "reason", None), urllib3.exceptions.NewConnectionError)
    return not (never or isinstance(error, requests.ConnectTimeout))


def _is_passing(problem: ClientError) -> bool:
    """Whether the same call may fare better in a moment."""
    if isinstance(problem, ApiError):
        return problem.status in retries.STATUSES or problem.code in retries.CODES
    return isinstance(problem, NoAnswer)


def _document(answer: Answer) -> Document:
    """Raises NotVerified, or NoAnswer for a page that a proxy wrote because it could not reach the platform."""
    try:
        document = json.loads(answer.body)
    except ValueError:
        document = None
    if isinstance(document, dict):
        return document
    text = f"HTTP {answer.status} with a body that is not a JSON object"
    if answer.status in retries.STATUSES:
        raise NoAnswer(text, may_have_happened=True)
    raise NotVerified(text, may_have_happened=True)
