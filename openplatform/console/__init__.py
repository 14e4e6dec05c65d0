"""The operator's pages. Rows are made by the models' factories and changed by named actions; nothing is edited."""

from openplatform.console import apps, history, keys, notifications, platform_keys

__all__ = ["apps", "history", "keys", "notifications", "platform_keys"]
