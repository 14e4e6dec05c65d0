"""A one-time code is exchanged once, however often the channel sends the browser back with it.

WeChat is known to call `redirect_uri` twice. The second exchange is refused there ("code been used", 40163), and the
answer to the first call may never reach the browser, so what the code gave is kept for the same browser for a while.
"""

import hashlib
import time
from collections.abc import Callable
from typing import Any

from openplatform.store import StoreDown, store
from payments.operations.cashier import PayerUnknown

KEPT_S = 300  # as long as the channel's own code lives
WAIT_S = 3.0
PAUSE_S = 0.05
_UNDER_WAY = b""


def exchange_once(*, code: str, scope: str, exchange: Callable[[], str]) -> str:
    """The payer's id for `code`; `scope` names whose code it is. Raises PayerUnknown.

    Without the store every call exchanges for itself.
    """
    key = f"cashier:code:{hashlib.sha256(f'{scope}:{code}'.encode()).hexdigest()}"
    try:
        if not _claim(key):
            return _result_of_the_other(key)
    except StoreDown:
        return exchange()
    try:
        payer_id = exchange()
    except PayerUnknown:
        _write(key, None)
        raise
    _write(key, payer_id)
    return payer_id


def _claim(key: str) -> bool:
    with store() as client:
        return bool(client.set(key, _UNDER_WAY, nx=True, ex=KEPT_S))


def _result_of_the_other(key: str) -> str:
    """What the call that came first learns; its failure is ours too."""
    ends_at = time.monotonic() + WAIT_S
    while time.monotonic() < ends_at:
        with store() as client:
            found: Any = client.get(key)
        if found is None:
            break
        if found != _UNDER_WAY:
            return str(found.decode())
        time.sleep(PAUSE_S)
    raise PayerUnknown


def _write(key: str, payer_id: str | None) -> None:
    try:
        with store() as client:
            if payer_id is None:
                client.delete(key)
            else:
                client.set(key, payer_id, ex=KEPT_S)
    except StoreDown:
        return  # the payer is known all the same; only a second call would have to start anew
