"""The merchant's door: what every view of the open API has in common, and the views that are not about money."""

from openplatform.api.base import OpenApiView
from openplatform.api.checks import Caller

__all__ = ["Caller", "OpenApiView"]
