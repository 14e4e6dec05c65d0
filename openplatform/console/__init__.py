"""The operator's pages. Rows are made by the models' factories and changed by named actions; nothing is edited
but rate rules."""

from openplatform.console import alarms, apps, blocks, history, keys, limits, notifications, platform_keys

__all__ = ["alarms", "apps", "blocks", "history", "keys", "limits", "notifications", "platform_keys"]
