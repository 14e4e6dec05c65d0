"""Sends notifications again, by filter or time: after a merchant's outage, or ours."""

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from openplatform.models.notification import NotificationStatus
from openplatform.notifications.replay import REPLAY_MAX, Filter, replay_matching


def _moment(text: str) -> datetime:
    moment = parse_datetime(text)
    if moment is None or moment.tzinfo is None:
        raise CommandError(f"{text} is not a time with an offset, such as 2026-01-02T10:00:00+08:00")
    return moment


class Command(BaseCommand):
    help = f"Owes all notifications that match again, the oldest {REPLAY_MAX} of them. At least one filter is needed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--app-id", type=int)
        parser.add_argument("--status", default="", choices=NotificationStatus.values)
        parser.add_argument("--event-type", default="")
        parser.add_argument("--from", dest="created_from", type=_moment, help="created at this time or later")
        parser.add_argument("--until", dest="created_until", type=_moment, help="created before this time")

    def handle(self, *_args: Any, **options: Any) -> None:
        names = ("app_id", "status", "event_type", "created_from", "created_until")
        chosen = {name: options[name] for name in names if options[name]}
        if not chosen:
            raise CommandError("Name at least one filter: all notifications of all merchants is never what you want.")
        replayed = replay_matching(matching=Filter(**chosen), now=timezone.now())
        self.stdout.write(f"{replayed.count}{', and more match: run it again' if replayed.has_more else ''}")
