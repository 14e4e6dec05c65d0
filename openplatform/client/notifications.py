"""For the merchant's notify_url: prove that a notification is the platform's, then read it."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from openplatform.client import signing
from openplatform.client.config import Config
from openplatform.client.errors import NotVerified


@dataclass(frozen=True, kw_only=True)
class Notification:
    """Keep `event_id`: the same one may come again, and an older `object_version` may come after a newer one.

    With `is_test` nothing has happened: answer as always, and do nothing for it.
    """

    event_id: str
    type: str
    created_at: str
    object_version: int
    data: dict[str, Any]
    is_test: bool = False


def verify_notification(
    config: Config, *, headers: Mapping[str, str], body: bytes, clock: signing.Clock = time.time
) -> Notification:
    """The notification in `body`, the raw bytes as they came. Raises NotVerified; answer 401 then, 200 otherwise."""
    signing.verify(config, headers=headers, body=body, clock=clock)
    try:
        document = json.loads(body)
        app_id = document["app_id"]
        said = {field.name: document[field.name] for field in fields(Notification) if field.name != "is_test"}
        notification = Notification(**said, is_test=document.get("test") is True)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        # An answer to a request is signed in the same way, and somebody may have sent it on.
        raise NotVerified("the body is not a notification") from error
    if app_id != config.app_id:
        raise NotVerified("the notification is for another app")
    return notification
