"""The payer in this browser: a cookie with a random number, and what each channel calls this person."""

import hashlib
import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

COOKIE = "sandbox_payer"
_COOKIE_LENGTH = 32
_YEAR_S = 31_536_000


def payer_of(request: HttpRequest) -> str:
    """The payer's number: from the cookie, or a new one that `remember` must hand out."""
    known = request.COOKIES.get(COOKIE, "")
    return known if len(known) == _COOKIE_LENGTH and known.isalnum() else secrets.token_hex(_COOKIE_LENGTH // 2)


def remember(response: HttpResponseBase, payer: str) -> None:
    response.set_cookie(COOKIE, payer, max_age=_YEAR_S, httponly=True, samesite="Lax")


def openid(*, appid: str, payer: str) -> str:
    """WeChat's: 28 characters, the same for one payer and appid, another for each appid."""
    return f"oS{_digest(f'{appid}/{payer}')}"


def alipay_open_id(*, app_id: str, payer: str) -> str:
    """Alipay's for apps of today: one for each app."""
    return f"0S{_digest(f'{app_id}/{payer}')}"


def alipay_user_id(payer: str) -> str:
    """Alipay's for apps of old: 16 digits, the same for all apps."""
    return f"2088{int(_digest(f'alipay/{payer}'), 16) % 10**12:012d}"


def unionpay_user_id(*, mer_id: str, payer: str) -> str:
    return f"UP{_digest(f'{mer_id}/{payer}')}"


def _digest(text: str) -> str:
    key = settings.SECRET_KEY.encode()[:64]
    return hashlib.blake2b(text.encode(), key=key, digest_size=13).hexdigest()
