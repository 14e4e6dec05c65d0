"""Rows that a worker drives by asking a channel: when to ask next, who is asking now, and what was heard."""

from datetime import datetime, timedelta
from typing import ClassVar, Self

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from openplatform.clocks import still_runs


def in_nobodys_hand(*, now: datetime, lease: timedelta) -> Q:
    """Rows that may be claimed for `lease`."""
    return Q(lease_until__isnull=True) | ~still_runs("lease_until", now=now, lasts=lease)


class Driven(models.Model):
    """`next_check_at` is what a sweep looks for; `lease_until` keeps others away; `asked_count` tells claims apart."""

    open_statuses: ClassVar[list[str]]

    asked_count = models.PositiveIntegerField(_("times asked"), default=0)
    checks_count = models.PositiveIntegerField(_("checks since the last move"), default=0)
    # Consecutive answers of a kind that only counts when it is repeated: it comes unsigned, or may just be too early.
    refused_count = models.PositiveSmallIntegerField(default=0)
    not_found_count = models.PositiveSmallIntegerField(default=0)
    next_check_at = models.DateTimeField(_("next check at"), null=True)
    lease_until = models.DateTimeField(null=True)
    hinted_at = models.DateTimeField(null=True)  # when a sweep last woke a worker for this row
    last_answer = models.CharField(_("last answer"), max_length=120, blank=True)

    class Meta:
        abstract = True

    @classmethod
    def claim_row(cls, number: int, *, now: datetime, lease: timedelta) -> bool:
        """Take the right to ask the channel. False when it is not due, not open, or somebody else is at it.

        One guarded UPDATE, a transaction of its own: if the process dies, the sweep takes over when the lease has run
        out, and `asked_count` tells the next one that the channel may have heard of it.
        """
        due = cls._default_manager.filter(Q(("status__in", cls.open_statuses)), pk=number, next_check_at__lte=now)
        return cls._take(due, now=now, lease=lease)

    @classmethod
    def _take(cls, rows: "models.QuerySet[Self]", *, now: datetime, lease: timedelta) -> bool:
        free = rows.filter(in_nobodys_hand(now=now, lease=lease))
        return bool(free.update(lease_until=now + lease, asked_count=F("asked_count") + 1))

    @classmethod
    def remember_hints(cls, numbers: list[int], *, now: datetime) -> None:
        """A sweep has woken workers for these rows."""
        cls._default_manager.filter(pk__in=numbers).update(hinted_at=now)

    @property
    def was_sent_before(self) -> bool:
        """Whether an earlier worker may have reached the channel: its answer, if any, was lost or did not count."""
        return self.asked_count > 1

    def release(self, claimed: Self) -> bool:
        """End the lease of `claimed`. False when another worker has claimed the row since: then what ours heard is old,
        and only what cannot become untrue may be believed.
        """
        if self.asked_count != claimed.asked_count:
            return False
        self.lease_until = None
        self.save(update_fields=["lease_until"])
        return True

    def check_again(self, *, at: datetime | None, answer: str, refused: bool = False, not_found: bool = False) -> None:
        """No move: ask once more at `at`; None where it may be left at that.

        `refused` and `not_found` count on, anything else starts them anew.
        """
        self.checks_count += 1
        self.refused_count = self.refused_count + 1 if refused else 0
        self.not_found_count = self.not_found_count + 1 if not_found else 0
        self.next_check_at = at
        self.last_answer = answer[:120]
        self.save(update_fields=["checks_count", "refused_count", "not_found_count", "next_check_at", "last_answer"])

    def plan(self, *, next_check_at: datetime | None) -> None:
        """After a move, saved with it: counts begin anew."""
        self.checks_count = self.refused_count = self.not_found_count = 0
        self.next_check_at = next_check_at
