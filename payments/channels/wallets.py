"""The app on the payer's phone, as data: its names, how its browser calls itself, and how a page in it pays.

The payer's page (payments/static/cashier) does what is said here, so it knows no channel by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from django.utils.functional import Promise

Text = str | Promise  # translatable
Outcome = Literal["ok", "cancel", "fail"]  # how the payer left the sheet; "ok" proves nothing


@dataclass(frozen=True, kw_only=True)
class Bridge:
    """The object that the app puts into each page: `window[object][method](call, parameters, then)` opens the sheet.

    `parameters` names what it is handed. `then` is given an object whose `answer` is looked up in `outcomes`; what is
    not there is `otherwise`.
    """

    object: str
    ready_event: str
    method: str
    call: str
    parameters: tuple[str, ...]
    answer: str
    outcomes: Mapping[str, Outcome]
    otherwise: Outcome


@dataclass(frozen=True, kw_only=True)
class Wallet:
    """What the payer calls the app and the service in it; `agent` stands in the User-Agent of its browser.

    Without a bridge a page in it pays by going to `pay_url`.
    """

    app: Text
    service: Text
    agent: str
    bridge: Bridge | None = None
