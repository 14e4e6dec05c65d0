"""Sends notifications again, by filter or time: after a merchant's outage, or ours."""

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from openplatform.models.notification import NotificationStatus
from openplatform.notifications.cursors import CursorUnknown
from openplatform.notifications.replay import REPLAY_MAX, Filter, replay_matching


def _moment(text: str) -> datetime:
    moment = parse_datetime(text)
    if moment is None or moment.tzinfo is None:
        raise CommandError(f"{text} is not a time with an offset, such as 2026-01-02T10:00:00+08:00")
    return moment


class Command(BaseCommand):
    help = (
        f"Owes all notifications that match again, the oldest first, {REPLAY_MAX} at a time, and prints how many. At"
        " least one filter is needed. After each part it says on stderr with which --cursor it would go on."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--app-id", type=int)
        parser.add_argument("--status", default="", choices=NotificationStatus.values)
        parser.add_argument("--event-type", default="")
        parser.add_argument("--from", dest="created_from", type=_moment, help="created at this time or later")
        parser.add_argument("--until", dest="created_until", type=_moment, help="created before this time")
        parser.add_argument("--cursor", default="", help="where a run with the same filter was interrupted")

    def handle(self, *_args: Any, cursor: str, **options: Any) -> None:
        names = ("app_id", "status", "event_type", "created_from", "created_until")
        chosen = {name: options[name] for name in names if options[name]}
        if not chosen:
            raise CommandError("Name at least one filter: all notifications of all merchants is never what you want.")
        try:
            count = self._replay(Filter(**chosen), cursor=cursor)
        except CursorUnknown as error:
            raise CommandError("This cursor was not given for this filter.") from error
        self.stdout.write(str(count))

    def _replay(self, matching: Filter, *, cursor: str) -> int:
        count, following = 0, cursor or None
        while True:
            replayed = replay_matching(matching=matching, cursor=following or "", now=timezone.now())
            count, following = count + replayed.count, replayed.next_cursor
            if following is None:
                return count
            self.stderr.write(f"{count}, going on with --cursor {following}")
