"""Attacks a merchant's notify address with what strangers and bad days would send, and grades it."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError, no_translations
from django.utils import timezone

from openplatform.conformance.aim import AddressRefused
from openplatform.conformance.run import RunUnderWay, ShapeRefused, new_run, run_conformance, shape_of
from openplatform.conformance.wording import advice_on, refusal_text, title_of
from openplatform.models import App, ConformanceRun
from openplatform.models.conformance import Grade
from openplatform.models.notification import NotificationShape
from openplatform.notifications.queries import last_notify_url

TITLE_WIDTH = 60


class Command(BaseCommand):
    help = "Runs the conformance kit against an app's notify address. Ends with 1 when a case fails."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--app-id", type=int, required=True)
        parser.add_argument("--url", default="", help="where the app was told last, when not given")
        parser.add_argument(
            "--shape", default="", choices=NotificationShape.values,
            help="our own notifications, or WeChat Pay's envelope; when not given, what the app speaks",
        )  # fmt: skip

    @no_translations  # a terminal may not have the letters, and merchants' engineers pass it on
    def handle(self, *_args: Any, app_id: int, url: str, shape: str, **_options: Any) -> None:
        app = App.objects.filter(pk=app_id).first()
        if app is None:
            raise CommandError("There is no such app.")
        run = self._run(app, url=url, shape=NotificationShape(shape) if shape else shape_of(app))
        for result in run.results.all():
            took = f"{result.duration_ms} ms"
            self.stdout.write(f"{result.grade:5} {title_of(result.case)!s:{TITLE_WIDTH}} {took:>8}  {result.answers}")
            if advice := advice_on(result.case, result.finding, shape=run.shape):
                self.stdout.write(f"      {advice}")
        self.stdout.write(f"{run.url}: {run.grade}")
        if run.grade == Grade.FAIL:
            raise SystemExit(1)

    def _run(self, app: App, *, url: str, shape: NotificationShape) -> ConformanceRun:
        url = url or last_notify_url(app_id=app.pk, shape=shape)
        if not url:
            raise CommandError("This app was never told anything in this shape: give --url.")
        try:
            run = new_run(app=app, url=url, shape=shape, by="command", now=timezone.now())
        except AddressRefused as error:
            why = refusal_text(error.word)
            raise CommandError(f"We do not call this address for this app ({error.word}). {why}") from error
        except ShapeRefused as error:
            raise CommandError("This app has no APIv3 key: open its WeChat Pay interface first.") from error
        except RunUnderWay as error:
            raise CommandError("A run is under way for this app: wait until it is over.") from error
        done = run_conformance(run_id=run.pk, clock=timezone.now)
        if done is None:
            raise CommandError("Somebody else has begun this run, or ended it.")
        return done
