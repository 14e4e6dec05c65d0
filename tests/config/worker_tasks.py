"""Tasks of test_celery.py, included into a real worker. They say in a file what happened to them."""

import os
import time
from pathlib import Path

from celery import shared_task

DIARY = Path(os.environ.get("FENPAY_TEST_DIARY", os.devnull))


@shared_task(name="tests.note")
def note(*, text: str, seconds: float = 0.0) -> None:
    with DIARY.open("a") as diary:
        diary.write(f"{text}\n")
    time.sleep(seconds)
