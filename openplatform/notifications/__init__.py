"""What we owe to merchants' servers: written down with the state, delivered by a worker, retried on a schedule."""

from openplatform.notifications.owing import owe

__all__ = ["owe"]
