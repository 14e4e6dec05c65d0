"""A length of time in words."""

from datetime import timedelta

from django.utils.translation import ngettext


def length_text(length: timedelta) -> str:
    """In its largest unit: "12 s", "3 min", "2 h", "5 d"; nothing is shorter than "0 s"."""
    seconds = max(0, int(length.total_seconds()))
    if seconds < 60:
        return ngettext("%(count)d s", "%(count)d s", seconds) % {"count": seconds}
    if seconds < 3_600:
        return ngettext("%(count)d min", "%(count)d min", seconds // 60) % {"count": seconds // 60}
    if seconds < 172_800:
        return ngettext("%(count)d h", "%(count)d h", seconds // 3_600) % {"count": seconds // 3_600}
    return ngettext("%(count)d d", "%(count)d d", seconds // 86_400) % {"count": seconds // 86_400}
