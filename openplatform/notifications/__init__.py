"""What we owe a merchant's server. Owed in the transaction of the state that it tells; delivered by a worker."""

from openplatform.notifications.owing import owe

__all__ = ["owe"]
