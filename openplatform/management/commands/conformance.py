"""Attacks a merchant's notify address with what strangers and bad days would send, and grades it."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError, no_translations
from django.utils import timezone

from openplatform.conformance.run import AddressRefused, last_notify_url, new_run, run_conformance
from openplatform.conformance.wording import advice_on, title_of
from openplatform.models import App, ConformanceRun
from openplatform.models.conformance import Grade


class Command(BaseCommand):
    help = "Runs the conformance kit against an app's notify address. Ends with 1 when a case fails."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--app-id", type=int, required=True)
        parser.add_argument("--url", default="", help="where the app was told last, when not given")

    @no_translations  # a terminal may not have the letters, and merchants' engineers pass it on
    def handle(self, *_args: Any, app_id: int, url: str, **_options: Any) -> None:
        run = self._run(app_id=app_id, url=url or last_notify_url(app_id=app_id))
        for result in run.results.all():
            took = f"{result.duration_ms} ms"
            self.stdout.write(f"{result.grade:5} {title_of(result.case)!s:52} {took:>8}  {result.answers}")
            if advice := advice_on(result.case, result.finding):
                self.stdout.write(f"      {advice}")
        self.stdout.write(f"{run.url}: {run.grade}")
        if run.grade == Grade.FAIL:
            raise SystemExit(1)

    def _run(self, *, app_id: int, url: str) -> ConformanceRun:
        app = App.objects.filter(pk=app_id).first()
        if app is None:
            raise CommandError("There is no such app.")
        if not url:
            raise CommandError("This app was never told anything: give --url.")
        try:
            run = new_run(app=app, url=url, by="command", now=timezone.now())
        except AddressRefused as error:
            raise CommandError(f"We do not call this address for this app: {error}.") from error
        done = run_conformance(run_id=run.pk, clock=timezone.now)
        if done is None:
            raise CommandError("Somebody else has begun this run.")
        return done
