"""The payer in this browser: a cookie with a random number, and an openid of it under each appid."""

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
    """28 characters, the same for one payer and appid, another for each appid."""
    digest = hashlib.blake2b(f"{appid}/{payer}".encode(), key=settings.SECRET_KEY.encode()[:64], digest_size=13)
    return f"oS{digest.hexdigest()}"
