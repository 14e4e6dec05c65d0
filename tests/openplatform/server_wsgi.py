"""The production application, by the settings that DJANGO_SETTINGS_MODULE names."""

from config.wsgi import application

__all__ = ["application"]
