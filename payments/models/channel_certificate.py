"""The channels' certificates as they were fetched for an account, and when the next are to be fetched."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.utils.translation import gettext_lazy as _

from openplatform.clocks import was_lately
from openplatform.models.base import AppendOnly

SERIAL_LENGTH_MAX = 64


class FetchesCertificates(models.Model):
    """Columns of an account. `certificate_wanted` is the number of one that a message named and that we lack;
    `certificates_asked_at` is the guard that all processes share: nobody asks again for a while, whoever wants to.
    """

    certificate_wanted = models.CharField(
        _("certificate wanted"), max_length=SERIAL_LENGTH_MAX, blank=True, default="", db_default=""
    )
    certificates_asked_at = models.DateTimeField(_("certificates asked for at"), null=True)
    certificates_fetched_at = models.DateTimeField(_("certificates fetched at"), null=True)
    certificates_failing_since = models.DateTimeField(_("fetching fails since"), null=True)

    class Meta:
        abstract = True

    @classmethod
    def want_certificate(cls, account_id: int, serial: str, *, is_answer: bool) -> bool:
        """Remember that `serial` is wanted. False when something is wanted already, and this changes nothing.

        What an answer of the channel named goes before what a callback named: anybody can post a callback, and must not
        be able to keep us from the one that counts.
        """
        wanted = cls._default_manager.filter(pk=account_id).exclude(certificate_wanted=serial)
        if not is_answer:
            wanted = wanted.filter(certificate_wanted="")
        return bool(wanted.update(certificate_wanted=serial[:SERIAL_LENGTH_MAX]))

    @classmethod
    def due_for_certificates(
        cls, *, now: datetime, gap: timedelta, every: Collection[tuple[str, timedelta]]
    ) -> "models.QuerySet[Self]":
        """Accounts for which the channel was not asked within `gap`, and that want a certificate, or whose channel is
        asked regularly (name and interval in `every`) and was not for that long.
        """
        is_regular = Q()
        for channel, interval in every:
            old = Q(certificates_fetched_at=None) | Q(certificates_fetched_at__lte=now - interval)
            is_regular |= Q(channel=channel, is_active=True) & old
        rested = Q(certificates_asked_at=None) | ~was_lately("certificates_asked_at", now=now, within=gap)
        return cls._default_manager.filter(rested, ~Q(certificate_wanted="") | is_regular).order_by(
            F("certificates_asked_at").asc(nulls_first=True)
        )

    @classmethod
    def claim_certificates(
        cls, account_id: int, *, now: datetime, gap: timedelta, every: Collection[tuple[str, timedelta]]
    ) -> "Self | None":
        """The account with the right to ask once, or None. One guarded UPDATE, a transaction of its own: of all who
        want to at the same time, in whichever process, one does.
        """
        due = cls.due_for_certificates(now=now, gap=gap, every=every).order_by().filter(pk=account_id)
        return cls._default_manager.get(pk=account_id) if due.update(certificates_asked_at=now) else None

    def record_fetch(self, *, wanted: str, now: datetime) -> None:
        """They answered, and what was `wanted` is here, or is nothing that they know. Another wish since then stays."""
        self.certificates_fetched_at, self.certificates_failing_since = now, None
        self.certificate_wanted = Case(When(certificate_wanted=wanted, then=Value("")), default=F("certificate_wanted"))
        self.save(update_fields=["certificate_wanted", "certificates_fetched_at", "certificates_failing_since"])

    def record_failed_fetch(self, *, now: datetime) -> None:
        """No answer that counts. What is wanted stays so, and is asked for again after a while."""
        if self.certificates_failing_since is None:
            self.certificates_failing_since = now
            self.save(update_fields=["certificates_failing_since"])


class ChannelCertificate(AppendOnly):
    """One certificate of a channel's, with those above it where it has any. Whether it counts is judged when it is
    used: a row is what we were given, and is never changed.
    """

    id = models.BigAutoField(primary_key=True)
    account = models.ForeignKey(
        "payments.ChannelAccount", on_delete=models.PROTECT, related_name="certificates", verbose_name=_("account")
    )
    serial = models.CharField(_("serial no."), max_length=SERIAL_LENGTH_MAX)
    pem = models.TextField(_("certificate"))
    not_before = models.DateTimeField(_("valid from"))
    not_after = models.DateTimeField(_("valid until"))
    fetched_at = models.DateTimeField(_("fetched at"))

    class Meta:
        verbose_name = _("channel certificate")
        verbose_name_plural = _("channel certificates")
        constraints = [
            models.UniqueConstraint(fields=["account", "serial"], name="channel_certificate_once"),
            models.CheckConstraint(
                condition=Q(not_after__gt=F("not_before")), name="channel_certificate_times_in_order"
            ),
        ]

    def __str__(self) -> str:
        return self.serial

    @classmethod
    def keep(
        cls, *, account_id: int, serial: str, pem: str, not_before: datetime, not_after: datetime, now: datetime
    ) -> bool:
        """Write it down, unless it is there: two processes may do so at once. Returns whether it is new."""
        facts = {"pem": pem, "not_before": not_before, "not_after": not_after, "fetched_at": now}
        _row, is_new = cls.objects.get_or_create(account_id=account_id, serial=serial, defaults=facts)
        return is_new

    @classmethod
    def of(cls, account_id: int) -> dict[str, str]:
        """PEM by serial number."""
        return dict(cls.objects.filter(account_id=account_id).values_list("serial", "pem"))
