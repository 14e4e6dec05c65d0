"""`manage.py health`: what the queues, the workers and beat are doing; for a person, for cron and for a monitor."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from openplatform.heartbeats import SILENT_CHECKS
from payments.health import Figures
from payments.operations.checkup import Checkup, Reader, as_document
from payments.operations.watch import watch

FIGURES_UNREAD = 2


class Command(BaseCommand):
    help = (
        "Show how the work is going. Exit status 0: all is well; 1: something calls for a person; 2: the database does"
        " not answer. With --watch, from cron, it also looks and tells whoever is on call when beat and the workers,"
        " which should, are silent."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object, for a monitor")
        parser.add_argument("--watch", action="store_true", help="open, close and tell alarms if nobody else does")

    def handle(self, *_: Any, **options: Any) -> None:
        seen = Reader().read()
        if options["watch"] and seen.figures is not None:
            watch(clock=timezone.now, older_than_s=SILENT_CHECKS * settings.ALARM_CHECK_S)
        self.stdout.write(json.dumps(as_document(seen), indent=2) if options["json"] else "\n".join(_lines(seen)))
        if not seen.is_well:
            status = FIGURES_UNREAD if "database" in seen.problems else 1
            raise CommandError(f"in trouble: {', '.join(seen.problems)}", returncode=status)


def _lines(seen: Checkup) -> Iterator[str]:
    if seen.figures is None:
        yield "the database does not answer"
        return
    yield from _work(seen.figures)
    yield from _hands(seen.figures)
    for alarm in seen.alarms:
        yield f"alarm {alarm}"


def _work(figures: Figures) -> Iterator[str]:
    for channel in figures.channels or ():
        for name, due, unknown in (
            ("payments", channel.payments, channel.unknown_payments),
            ("refunds", channel.refunds, channel.unknown_refunds),
        ):
            yield (
                f"{channel.name:<14} {name:<14} {due.count:>6} due, late by {due.late_s} s;"
                f" {unknown.count} not known, the oldest for {unknown.oldest_s} s"
            )
        rechecks = channel.rechecks
        yield f"{channel.name:<14} {'rechecks':<14} {rechecks.count:>6} due, late by {rechecks.late_s} s"
    told = figures.notifications
    if told is not None:
        yield (
            f"{'notifications':<29} {told.due.count:>6} due, late by {told.due.late_s} s;"
            f" {told.paused_count} wait for paused hosts, {told.held_count} given up"
        )


def _hands(figures: Figures) -> Iterator[str]:
    signs = figures.signs
    if figures.broker.error:
        yield f"the broker does not answer: {figures.broker.error}"
    for queue, look in figures.broker.queues.items():
        age = "" if look.oldest_s is None else f", the oldest waits for {look.oldest_s} s"
        workers = "?" if signs is None else signs.alive_at(queue)
        yield f"queue {queue:<23} {look.length:>6} messages{age}; {workers} workers"
    for breaker in figures.breakers or ():
        yield f"breaker {breaker.name} is open for {breaker.open_for_s} s"
    if figures.breakers is None:
        yield "Redis does not answer"
    if signs is not None:
        for sweep in signs.often:
            yield f"sweep {sweep.name:<30} {'never ran' if sweep.age_s is None else f'ran {sweep.age_s} s ago'}"
        yield "nobody has looked yet" if signs.watch_age_s is None else f"looked at {signs.watch_age_s} s ago"
