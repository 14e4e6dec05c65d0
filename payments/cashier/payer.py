"""Who this browser pays as: a signed cookie per channel account, and a state that ties the way there to this browser.

The channel allows only letters and digits in `state`, at most 128 of them, so Django's signed strings do not fit.
"""

import re
import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare, salted_hmac

from payments.cashier.tokens import is_token
from payments.models import ChannelAccount

COOKIE_PATH = "/pay/"
# Asking again costs one silent redirect; a phone that changes hands should not keep the last payer for long.
PAYER_LIFETIME = timedelta(hours=12)
BROWSER_COOKIE = "pay_browser"
STATE_LIFETIME = timedelta(minutes=10)

_BROWSER = re.compile(r"[0-9a-f]{32}")
_STATE = re.compile(r"([0-9a-f]{32})([0-9a-f]{8})((?:[0-9a-f]{2}){1,44})")  # MAC, seconds, token.channel


class StateRefused(Exception):
    """The state is not ours, is too old, or was made for another browser."""


def known_payer(request: HttpRequest, account: ChannelAccount) -> str:
    """The payer's id at this account, or "" when this browser has not said it lately."""
    try:
        payer_id = signing.loads(
            request.COOKIES.get(_sent_as(_payer_cookie(account)), ""), salt=_payer_salt(account), max_age=PAYER_LIFETIME
        )
    except signing.BadSignature:
        return ""
    return str(payer_id)


def remember_payer(response: HttpResponse, account: ChannelAccount, *, payer_id: str) -> None:
    """Sign the payer's id into a cookie that holds for this account only."""
    value = signing.dumps(payer_id, salt=_payer_salt(account))
    _set_cookie(response, _payer_cookie(account), value, lifetime=PAYER_LIFETIME)


def browser_of(request: HttpRequest) -> str:
    """This browser's number: from its cookie, or a new one that `remember_browser` must hand out."""
    known = request.COOKIES.get(_sent_as(BROWSER_COOKIE), "")
    return known if _BROWSER.fullmatch(known) else secrets.token_hex(16)


def remember_browser(response: HttpResponse, browser: str) -> None:
    _set_cookie(response, BROWSER_COOKIE, browser, lifetime=STATE_LIFETIME)


def make_state(*, pay_code_token: str, channel: str, browser: str, now: datetime) -> str:
    """Names the pay code and the channel; good for this browser and STATE_LIFETIME only, so nobody else's login can be
    slipped in.
    """
    made_at, named = f"{int(now.timestamp()):08x}", f"{pay_code_token}.{channel}".encode().hex()
    return f"{_mac(made_at, named, browser)}{made_at}{named}"


def read_state(state: str, *, browser: str, now: datetime) -> tuple[str, str]:
    """The pay code's token, and the channel. Raises StateRefused."""
    parts = _STATE.fullmatch(state)
    if not parts or not constant_time_compare(parts[1], _mac(parts[2], parts[3], browser)):
        raise StateRefused
    age_s = int(now.timestamp()) - int(parts[2], 16)
    if not 0 <= age_s <= STATE_LIFETIME.total_seconds():
        raise StateRefused
    return pay_code_named_in(state), _named(state)[1]


def pay_code_named_in(state: str) -> str:
    """The token that a state names, whoever made it, or "". Enough for a link to our own page, for nothing else."""
    token, _channel = _named(state)
    return token if is_token(token) else ""


def _named(state: str) -> tuple[str, str]:
    parts = _STATE.fullmatch(state)
    token, _dot, channel = (bytes.fromhex(parts[3]).decode(errors="replace") if parts else "").partition(".")
    return token, channel


def _mac(*parts: str) -> str:
    return salted_hmac("payments.cashier.state", ":".join(parts), algorithm="sha256").hexdigest()[:32]


def _payer_cookie(account: ChannelAccount) -> str:
    return f"payer_{account.pk}"


def _payer_salt(account: ChannelAccount) -> str:
    return f"payments.cashier.payer.{account.pk}"


def _sent_as(name: str) -> str:
    """A browser takes a cookie with this prefix over https only, so nobody on the way can slip in one of their own."""
    return f"__Secure-{name}" if settings.SESSION_COOKIE_SECURE else name


def _set_cookie(response: HttpResponse, name: str, value: str, *, lifetime: timedelta) -> None:
    response.set_cookie(
        _sent_as(name), value, max_age=lifetime, path=COOKIE_PATH, httponly=True, samesite="Lax",
        secure=settings.SESSION_COOKIE_SECURE,
    )  # fmt: skip
