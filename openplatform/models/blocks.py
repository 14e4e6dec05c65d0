"""The lists of who is kept out and who is never kept out by accident. Nothing is deleted: an entry is lifted."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Self

from django.db import models, transaction
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from openplatform.blocks.networks import Network, place_text
from openplatform.blocks.values import (
    Kind,
    ListingRefused,
    NotAKey,
    NotAnApp,
    Value,
    payer_index,
    read_place,
    read_value,
)
from openplatform.models.app import App
from openplatform.models.base import one_of
from openplatform.models.blind_key import BlindKey
from openplatform.models.keys import AppKey

AUTO_FIRST = timedelta(minutes=10)
AUTO_LONGEST = timedelta(hours=24)
AUTO_MEMORY = timedelta(hours=24)  # who is quiet for so long after a block begins again with the first one
REASON_LENGTH_MAX = 200
AUTO_REASON = "repeated signature failures"  # shown in the language of whoever reads it


class AlreadyListed(ListingRefused):
    """There is an entry for this already; lift it first to change it."""

    code = "BLOCK_ALREADY_LISTED"


class EndsInThePast(ListingRefused):
    """The entry would be over before it began."""

    code = "BLOCK_ENDS_IN_THE_PAST"


class BlockKind(models.TextChoices):
    IP = Kind.IP, _("IP address")
    CIDR = Kind.CIDR, _("network (CIDR)")
    APP = Kind.APP, _("app")
    SERIAL = Kind.SERIAL, _("app key")
    PAYER_HASH = Kind.PAYER_HASH, _("payer")
    NOTIFY_HOST = Kind.NOTIFY_HOST, _("notify host")


class BlockSource(models.TextChoices):
    MANUAL = "manual", _("by hand")
    AUTO = "auto", _("automatic")


class ListedState(models.TextChoices):
    """Where an entry stands at a given moment."""

    LIVE = "live", _("in force")
    EXPIRED = "expired", _("expired")
    LIFTED = "lifted", _("lifted")


class ListMarker(models.Model):
    """One row that is another one after every change of a list: a process that finds it unchanged reads no further.

    Whoever changes a list changes it first, and so holds its lock until the end: changes happen one after the other,
    and none becomes visible later than a marker that was read after it.
    """

    marker = models.UUIDField()

    def __str__(self) -> str:
        return str(self.marker)

    @classmethod
    def read(cls) -> uuid.UUID | None:
        """None before the first change ever."""
        return cls.objects.values_list("marker", flat=True).first()


@contextmanager
def changing_a_list() -> Iterator[None]:
    """A transaction in which no other process changes a list, and after which every process reads them anew."""
    with transaction.atomic():
        ListMarker.objects.update_or_create(pk=1, defaults={"marker": uuid.uuid4()})
        yield


class Listed(models.Model):
    """What every list knows of its entries: why, by whom, since when, and when and by whom they were lifted."""

    reason = models.CharField(_("reason"), max_length=REASON_LENGTH_MAX)
    created_by = models.CharField(_("entered by"), max_length=150, blank=True)
    created_at = models.DateTimeField(_("created at"))
    lifted_at = models.DateTimeField(_("lifted at"), null=True, blank=True)
    lifted_by = models.CharField(_("lifted by"), max_length=150, blank=True)

    class Meta:
        abstract = True

    @classmethod
    def is_in_state(cls, state: ListedState, *, now: datetime) -> Q:  # noqa: ARG003 - no end by time, unlike a block's
        """The condition for entries that are in that state at `now`."""
        return {
            ListedState.LIVE: Q(lifted_at=None),
            ListedState.EXPIRED: Q(pk__in=[]),
            ListedState.LIFTED: Q(lifted_at__isnull=False),
        }[state]

    @classmethod
    def live(cls, *, now: datetime) -> models.QuerySet[Self]:
        """The entries that are in force at `now`."""
        return cls._default_manager.filter(cls.is_in_state(ListedState.LIVE, now=now))

    def state(self, *, now: datetime) -> ListedState:  # noqa: ARG002 - see above
        return ListedState.LIVE if self.lifted_at is None else ListedState.LIFTED

    def lift(self, *, by: str, now: datetime) -> bool:
        """Take it off the list, in force within 5 s. False when it was not on it any more."""
        with changing_a_list():
            lifted = type(self).live(now=now).filter(pk=self.pk).update(lifted_at=now, lifted_by=by)
        self.refresh_from_db(fields=["lifted_at", "lifted_by"])
        return bool(lifted)


class BlockEntry(Listed):
    """Somebody or something that is kept out. A payer stands here as a hash, with the end of its id for people."""

    kind = models.CharField(_("kind"), max_length=16, choices=BlockKind.choices)
    value = models.CharField(_("value"), max_length=255)
    tail = models.CharField(max_length=4, blank=True)
    source = models.CharField(_("source"), max_length=8, choices=BlockSource.choices)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)

    class Meta:
        verbose_name = _("blacklist entry")
        verbose_name_plural = _("blacklist entries")
        constraints = [
            one_of("kind", BlockKind, name="block_entry_kind_known"),
            one_of("source", BlockSource, name="block_entry_source_known"),
            models.UniqueConstraint(
                fields=["kind", "value"], condition=Q(lifted_at=None), name="block_entry_one_in_force"
            ),
            models.CheckConstraint(
                condition=(~Q(kind=BlockKind.PAYER_HASH) & Q(tail=""))
                | Q(kind=BlockKind.PAYER_HASH, value__regex=r"^[0-9a-f]{64}$"),
                name="block_entry_payer_is_hashed",
            ),
            models.CheckConstraint(
                condition=Q(source=BlockSource.MANUAL) & ~Q(created_by="")
                | Q(source=BlockSource.AUTO, created_by="", expires_at__isnull=False),
                name="block_entry_says_who_and_auto_ends",
            ),
            models.CheckConstraint(
                condition=Q(expires_at=None) | Q(expires_at__gt=F("created_at")), name="block_entry_times_in_order"
            ),
            # An entry that is over gives way to the next one for the same thing: nobody lifted it then.
            models.CheckConstraint(
                condition=Q(lifted_at=None, lifted_by="")
                | Q(lifted_at__isnull=False) & (~Q(lifted_by="") | Q(lifted_at=F("expires_at"))),
                name="block_entry_lifted_by_somebody",
            ),
        ]
        indexes = [
            models.Index(fields=["expires_at"], condition=Q(lifted_at=None), name="block_entry_live"),
            models.Index(fields=["kind", "value", "-created_at"], name="block_entry_history"),
        ]
        permissions = [("lift_blockentry", "Can lift a blacklist entry")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.shown_value}"

    @property
    def shown_value(self) -> str:
        return f"…{self.tail}" if self.kind == BlockKind.PAYER_HASH else self.value

    @classmethod
    def is_in_state(cls, state: ListedState, *, now: datetime) -> Q:
        """What ran out gives way to the next entry for the same, but nobody lifted it."""
        return {
            ListedState.LIVE: Q(lifted_at=None) & (Q(expires_at=None) | Q(expires_at__gt=now)),
            ListedState.EXPIRED: Q(expires_at__lte=now, lifted_by=""),
            ListedState.LIFTED: ~Q(lifted_by=""),
        }[state]

    def state(self, *, now: datetime) -> ListedState:
        if self.lifted_by:
            return ListedState.LIFTED
        is_over = self.expires_at is not None and self.expires_at <= now
        return ListedState.EXPIRED if is_over else ListedState.LIVE

    @classmethod
    def block(
        cls, *, kind: str, text: str, reason: str, by: str, now: datetime, expires_at: datetime | None = None
    ) -> "BlockEntry":
        """Keep out what `text` names, in force within 5 s. An automatic entry for the same gives way.

        Raises ListingRefused, by a subclass that names why.
        """
        value = read_value(Kind(kind), text)
        _check_exists(Kind(kind), value)
        if expires_at is not None and expires_at <= now:
            raise EndsInThePast
        with changing_a_list():
            forms = _stored_forms(value, now=now)
            cls._put_away_what_is_over(kind=kind, values=forms, now=now)
            known = cls.live(now=now).filter(kind=kind, value__in=forms)
            known.filter(source=BlockSource.AUTO).update(lifted_at=now, lifted_by=by)
            if known.exists():
                raise AlreadyListed
            return cls._add(
                kind=kind, value=forms[0], tail=value.tail, source=BlockSource.MANUAL, reason=reason,
                created_by=by, created_at=now, expires_at=expires_at,
            )  # fmt: skip

    @classmethod
    def block_automatically(cls, *, network: Network, now: datetime) -> "BlockEntry | None":
        """Keep an address or a network out for a while; None when it is kept out already.

        The first time for AUTO_FIRST; twice as long as the last time when that ended less than AUTO_MEMORY ago.
        """
        kind = BlockKind.IP if network.prefixlen == network.max_prefixlen else BlockKind.CIDR
        same = {"kind": kind, "value": place_text(network)}
        with changing_a_list():
            if cls.live(now=now).filter(**same).exists():
                return None
            cls._put_away_what_is_over(kind=kind, values=[same["value"]], now=now)
            lasts = cls._next_length(**same, now=now)
            return cls._add(**same, source=BlockSource.AUTO, reason=AUTO_REASON, created_at=now, expires_at=now + lasts)

    @classmethod
    def _next_length(cls, *, kind: str, value: str, now: datetime) -> timedelta:
        """One that a person lifted does not count: that person knew better."""
        earlier = cls.objects.filter(
            kind=kind, value=value, source=BlockSource.AUTO, lifted_by="", expires_at__gt=now - AUTO_MEMORY
        )
        last = earlier.order_by("-created_at").first()
        if last is None or last.expires_at is None:
            return AUTO_FIRST
        return min(2 * (last.expires_at - last.created_at), AUTO_LONGEST)

    @classmethod
    def _put_away_what_is_over(cls, *, kind: str, values: Sequence[str], now: datetime) -> None:
        over = cls.objects.filter(kind=kind, value__in=values, lifted_at=None, expires_at__lte=now)
        over.update(lifted_at=F("expires_at"))

    @classmethod
    def _add(cls, **fields: Any) -> "BlockEntry":
        entry = cls(**fields)
        entry.save(force_insert=True)
        return entry


def _stored_forms(value: Value, *, now: datetime) -> Sequence[str]:
    """How it is stored, and then how it may stand there from earlier. Only inside changing_a_list()."""
    if not value.secret:
        return [value.stored]
    return [payer_index(value.secret, key=key) for key in BlindKey.ensure(now=now)]


def _check_exists(kind: Kind, value: Value) -> None:
    if kind is Kind.APP and not App.objects.filter(pk=value.stored).exists():
        raise NotAnApp
    if kind is Kind.SERIAL and not AppKey.objects.filter(pk=value.stored).exists():
        raise NotAKey


class ListedPlace(Listed):
    """An address or a network on a list that does not end by time."""

    value = models.CharField(_("address or network"), max_length=64)

    class Meta:
        abstract = True

    @classmethod
    def _enter(cls, *, text: str, now: datetime, **fields: Any) -> Self:
        value = place_text(read_place(text))
        whose = {"app": fields["app"]} if "app" in fields else {}
        with changing_a_list():
            if cls.live(now=now).filter(value=value, **whose).exists():
                raise AlreadyListed
            entry = cls(value=value, created_at=now, **fields)
            entry.save(force_insert=True)
        return entry


def _entered_and_lifted_by_somebody(*, name: str) -> models.CheckConstraint:
    lifted = Q(lifted_at=None, lifted_by="") | (Q(lifted_at__isnull=False) & ~Q(lifted_by=""))
    return models.CheckConstraint(condition=~Q(created_by="") & lifted, name=name)


class ExemptAddress(ListedPlace):
    """A place that is never blocked automatically, nor by a network on the blacklist: only by its own address."""

    class Meta:
        verbose_name = _("exempt address")
        verbose_name_plural = _("exempt addresses")
        constraints = [
            models.UniqueConstraint(fields=["value"], condition=Q(lifted_at=None), name="exempt_address_one_in_force"),
            _entered_and_lifted_by_somebody(name="exempt_address_by_somebody"),
        ]
        permissions = [("lift_exemptaddress", "Can take an address off the exempt ones")]

    def __str__(self) -> str:
        return self.value

    @classmethod
    def exempt(cls, *, text: str, reason: str, by: str, now: datetime) -> "ExemptAddress":
        """In force within 5 s. Raises ListingRefused, by a subclass that names why."""
        return cls._enter(text=text, now=now, reason=reason, created_by=by)


class AppAddress(ListedPlace):
    """A place from which an app calls. As soon as an app has one, it may call from nowhere else."""

    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="addresses", verbose_name=_("app"))

    class Meta:
        verbose_name = _("app address")
        verbose_name_plural = _("app addresses")
        constraints = [
            models.UniqueConstraint(
                fields=["app", "value"], condition=Q(lifted_at=None), name="app_address_one_in_force"
            ),
            _entered_and_lifted_by_somebody(name="app_address_by_somebody"),
        ]
        permissions = [("lift_appaddress", "Can take an address off an app's list")]

    def __str__(self) -> str:
        return f"{self.app_id} {self.value}"

    @classmethod
    def allow(cls, *, app: App, text: str, reason: str, by: str, now: datetime) -> "AppAddress":
        """In force within 5 s. Raises ListingRefused, by a subclass that names why."""
        return cls._enter(text=text, now=now, app=app, reason=reason, created_by=by)


class NotifyHost(Listed):
    """A host at which an app may be told. As soon as an app has one, it is told nowhere else."""

    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="notify_hosts", verbose_name=_("app"))
    value = models.CharField(_("host"), max_length=255)

    class Meta:
        verbose_name = _("notify host of an app")
        verbose_name_plural = _("notify hosts of apps")
        constraints = [
            models.UniqueConstraint(
                fields=["app", "value"], condition=Q(lifted_at=None), name="notify_host_one_in_force"
            ),
            _entered_and_lifted_by_somebody(name="notify_host_by_somebody"),
        ]
        permissions = [("lift_notifyhost", "Can take a host off those at which an app is told")]

    def __str__(self) -> str:
        return f"{self.app_id} {self.value}"

    @classmethod
    def register(cls, *, app: App, text: str, reason: str, by: str, now: datetime) -> "NotifyHost":
        """In force within 5 s. Raises ListingRefused, by a subclass that names why."""
        value = read_value(Kind.NOTIFY_HOST, text).stored
        with changing_a_list():
            if cls.live(now=now).filter(app=app, value=value).exists():
                raise AlreadyListed
            host = cls(app=app, value=value, reason=reason, created_by=by, created_at=now)
            host.save(force_insert=True)
        return host
