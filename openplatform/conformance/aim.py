"""Which addresses the kit attacks: those of the app, and nobody else's."""

from datetime import datetime

from openplatform import notify_urls
from openplatform.blocks.values import host_text
from openplatform.models import NotifyHost
from openplatform.notifications import queries
from openplatform.notifications.sending import refusal_of


class AddressRefused(ValueError):
    """We do not call this address for this app. `word` is what an attempt to tell it something would say."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class NotItsHost(AddressRefused):
    """It is a host that we would call, and nothing says that it is this app's."""

    def __init__(self) -> None:
        super().__init__("not_its_host")


def check_address(*, app_id: int, url: str, now: datetime) -> None:
    """An operator must not be able to have a stranger's server attacked. Raises AddressRefused.

    A host is the app's when an operator has registered it, or when the app was told there lately.
    """
    if refusal := refusal_of(app_id=app_id, url=url, now=now):
        raise AddressRefused(refusal)
    # Not from the compiled lists: who has just registered it need not wait until they are read again.
    value = host_text(notify_urls.host_of(url))
    is_registered = NotifyHost.live(now=now).filter(app_id=app_id, value=value).exists()
    if not is_registered and not queries.was_told_lately(app_id=app_id, url=url):
        raise NotItsHost
