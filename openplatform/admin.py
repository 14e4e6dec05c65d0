"""Where Django looks for the console's pages."""

from openplatform import console

__all__ = ["console"]
