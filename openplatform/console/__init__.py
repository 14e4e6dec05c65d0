"""The operator's pages. Rows are made by the models' factories and changed by named actions; nothing is edited."""

from openplatform.console import apps, blocks, keys, notifications

__all__ = ["apps", "blocks", "keys", "notifications"]
