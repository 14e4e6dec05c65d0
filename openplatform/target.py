"""The target of a request as it stood on the request line. What was signed is this text, never a rebuilt one."""

import re
from urllib.parse import unquote

from django.conf import settings
from django.http import HttpRequest

SANDBOX_PREFIX = "/sandbox"
QUERY_LENGTH_MAX = 1_024
NATIVE_PATHS = re.compile(r"/(?:sandbox/)?openapi/v1(?:/[A-Za-z0-9_-]{1,64})+")
# WeChat Pay's addresses. A merchant's number there may also hold `|`, `*` and `@`. `|` has no place in a URL and is
# always escaped; the other two are escaped by some clients and not by others. Nothing else is ever escaped.
WECHATPAY_PATHS = re.compile(r"/v3(?:/(?:[A-Za-z0-9_*@-]|%7C|%2A|%40){1,64})+")
_PAIR = re.compile(r"([a-z_]{1,32})=([A-Za-z0-9_.:~-]{1,128})")


class TargetRefused(ValueError):
    """The target does not follow the grammar; the text says which part."""


def raw_target(request: HttpRequest) -> str:
    """Path and query as the client sent them. Raises TargetRefused when the server does not hand them over."""
    raw: str | None = request.META.get("RAW_URI")
    if raw is None and settings.TARGET_FROM_PATH:  # only the test client has no request line
        raw = request.get_full_path()
    if raw is None:
        raise TargetRefused("the web server does not hand over the raw target")
    return raw


def check_target(target: str, *, path: str, query_names: frozenset[str], paths: re.Pattern[str] = NATIVE_PATHS) -> None:
    """No escapes but those of `paths`, no dots, double or trailing slashes, no scheme and host, no surprises in the
    query. `path` is what the URL was routed by; `query_names` are the names that the view knows.
    """
    raw_path, mark, query = target.partition("?")
    if not paths.fullmatch(raw_path) or unquote(raw_path) != path:
        raise TargetRefused("the path holds something that no address of ours has")
    if mark:
        _check_query(query, query_names)


def is_for_the_sandbox(target: str) -> bool:
    """Whether a request was signed for a test platform. Production serves none: its path is part of the signature."""
    return target.startswith(f"{SANDBOX_PREFIX}/")


def _check_query(query: str, known: frozenset[str]) -> None:
    if len(query) > QUERY_LENGTH_MAX:
        raise TargetRefused("the query is too long")
    seen: set[str] = set()
    for pair in query.split("&"):
        match = _PAIR.fullmatch(pair)
        if match is None:
            raise TargetRefused("the query is not name=value, joined by &, without escapes")
        if match[1] in seen or match[1] not in known:
            raise TargetRefused("the query holds an unknown name, or one twice")
        seen.add(match[1])
