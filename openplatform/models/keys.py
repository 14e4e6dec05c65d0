"""Keys: the merchants' public ones, with which we verify and encrypt, and our own pairs."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import IntegrityError, models, transaction
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from openplatform.certificates import self_signed
from openplatform.key_material import (
    ENCRYPTING,
    SIGNING,
    Algorithm,
    PublicKeyFacts,
    Purpose,
    check_serial_no,
    new_serial_no,
    read_public_key,
)
from openplatform.key_states import (
    SYSTEM,
    Actor,
    AppKeyStatus,
    KeyEventKind,
    KnownFingerprint,
    KnownSerial,
    LifetimeRefused,
    MoveRefused,
    TooManyKeys,
    next_status,
)
from openplatform.models.app import App
from openplatform.models.base import one_of
from openplatform.models.key_audit import KeyEvent
from openplatform.models.sealed import SealedField, open_column, seal_column
from openplatform.scopes import Scope, checked_scopes

TOUCH_EVERY = timedelta(minutes=1)
LIVE_KEYS_MAX = 5
FINGERPRINT_UNIQUE = "app_key_fingerprint_unique_for_ever"
SIGN, ENCRYPT = Purpose.SIGN.value, Purpose.ENCRYPT.value  # as text: migrations outlive enums
COUNTING = (AppKeyStatus.ACTIVE, AppKeyStatus.RETIRING)


def _fits_purpose(*, name: str) -> models.CheckConstraint:
    """No pair for two purposes."""
    return models.CheckConstraint(
        condition=Q(purpose=SIGN, algorithm__in=[algorithm.value for algorithm in SIGNING])
        | Q(purpose=ENCRYPT, algorithm__in=[algorithm.value for algorithm in ENCRYPTING]),
        name=name,
    )


class AppKey(models.Model):
    """A merchant's public key. The row outlives the key: a fingerprint that was ever proven is unique for ever.

    A pending key claims nothing yet, or whoever knows a merchant's public key could keep it from being registered.
    """

    serial_no = models.CharField(_("serial no."), max_length=64, primary_key=True)
    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="keys", verbose_name=_("app"))
    purpose = models.CharField(_("purpose"), max_length=8, choices=Purpose.choices(), default=Purpose.SIGN.value)
    algorithm = models.CharField(_("algorithm"), max_length=16, choices=Algorithm.choices())
    public_key_pem = models.TextField(_("public key"))
    fingerprint = models.CharField(_("fingerprint"), max_length=64, help_text=_("SHA-256 of the SPKI, hex."))
    scopes = ArrayField(
        models.CharField(max_length=32, choices=Scope.choices), verbose_name=_("scopes"), default=list, blank=True
    )
    status = models.CharField(_("status"), max_length=16, choices=AppKeyStatus.choices, default=AppKeyStatus.PENDING)
    not_before = models.DateTimeField(_("valid from"))
    not_after = models.DateTimeField(_("valid until"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"))
    proven_at = models.DateTimeField(_("proven at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)

    class Meta:
        verbose_name = _("app key")
        verbose_name_plural = _("app keys")
        constraints = [
            models.UniqueConstraint(
                fields=["fingerprint"], condition=Q(proven_at__isnull=False), name=FINGERPRINT_UNIQUE
            ),
            models.UniqueConstraint(
                fields=["app", "fingerprint"], condition=Q(status=AppKeyStatus.PENDING), name="app_key_pending_once"
            ),
            models.CheckConstraint(
                condition=Q(serial_no__regex=r"^[A-Za-z0-9_]{8,64}$"), name="app_key_serial_no_shape"
            ),
            models.CheckConstraint(condition=Q(fingerprint__regex=r"^[0-9a-f]{64}$"), name="app_key_fingerprint_shape"),
            one_of("status", AppKeyStatus, name="app_key_status_known"),
            _fits_purpose(name="app_key_algorithm_fits_purpose"),
            models.CheckConstraint(condition=Q(scopes__contained_by=Scope.values), name="app_key_scopes_known"),
            models.CheckConstraint(
                condition=Q(purpose=SIGN, scopes__len__gt=0) | Q(purpose=ENCRYPT, scopes=[]),
                name="app_key_scopes_fit_purpose",
            ),
            models.CheckConstraint(
                condition=Q(not_after=None) | Q(not_after__gt=F("not_before")), name="app_key_lifetime_in_order"
            ),
            models.CheckConstraint(
                condition=Q(status=AppKeyStatus.REVOKED, revoked_at__isnull=False)
                | (~Q(status=AppKeyStatus.REVOKED) & Q(revoked_at=None)),
                name="app_key_revoked_has_time",
            ),
            models.CheckConstraint(
                condition=Q(status=AppKeyStatus.PENDING, proven_at=None)
                | Q(status__in=COUNTING, proven_at__isnull=False)
                | Q(status=AppKeyStatus.REVOKED),
                name="app_key_counts_only_proven",
            ),
            models.CheckConstraint(
                condition=~Q(status=AppKeyStatus.RETIRING) | Q(not_after__isnull=False),
                name="app_key_retiring_has_an_end",
            ),
        ]
        permissions = [("revoke_appkey", "Can revoke an app's key"), ("retire_appkey", "Can retire an app's key")]

    def __str__(self) -> str:
        return self.serial_no

    @classmethod
    def register(cls, *, app: App, public_key_pem: str, now: datetime, **more: Any) -> "AppKey":
        """Write down a key that counts at once, without a challenge: for whoever made the pair itself, as the demo
        does. Doors go through openplatform.app_keys. Takes what `offer` takes; raises what it raises.
        """
        with transaction.atomic():
            key = cls.offer(app=app, public_key_pem=public_key_pem, now=now, **more)
            key.prove(by=more.get("by", SYSTEM), now=now)
        return key

    @classmethod
    def offer(  # noqa: PLR0913 - one row, all named
        cls,
        *,
        app: App,
        public_key_pem: str,
        now: datetime,
        purpose: Purpose = Purpose.SIGN,
        scopes: Iterable[str] | None = None,
        serial_no: str | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        by: Actor = SYSTEM,
    ) -> "AppKey":
        """Write down a public key of `app`; it counts for nothing until it is proven. The same offer again is the same
        row. `serial_no` is made up when none is given, `scopes` are the default ones.

        Raises KeyRefused, by a subclass that names why; the text may be shown to whoever pasted the key.
        """
        facts = read_public_key(public_key_pem, purpose=purpose)
        serial_no = serial_no or new_serial_no()
        check_serial_no(serial_no)
        key = cls(
            serial_no=serial_no,
            app=app,
            purpose=purpose,
            algorithm=facts.algorithm,
            public_key_pem=facts.pem,
            fingerprint=facts.fingerprint,
            scopes=checked_scopes(scopes, purpose=purpose),
            not_before=not_before or now,
            not_after=not_after,
            created_at=now,
        )
        with transaction.atomic():
            App.lock(app.pk)  # the counts below must hold when two register at once
            known = cls._known_offer(key, facts=facts)
            if known is not None:
                return known
            key._refuse_impossible(now=now)
            key.save(force_insert=True)
            KeyEvent.record(key, KeyEventKind.REGISTERED, by=by, now=now, scopes=key.scopes, purpose=purpose)
        return key

    @classmethod
    def _known_offer(cls, key: "AppKey", *, facts: PublicKeyFacts) -> "AppKey | None":
        """The pending row of the same offer. Raises KnownFingerprint for whatever else bears this public key."""
        if cls.objects.filter(fingerprint=facts.fingerprint, proven_at__isnull=False).exists():
            raise KnownFingerprint
        pending = cls.objects.filter(app=key.app, fingerprint=facts.fingerprint, status=AppKeyStatus.PENDING).first()
        if pending is not None and (pending.purpose, pending.scopes) != (key.purpose, key.scopes):
            raise KnownFingerprint
        return pending

    def _refuse_impossible(self, *, now: datetime) -> None:
        if self.not_after is not None and not max(now, self.not_before) < self.not_after:
            raise LifetimeRefused
        if AppKey.objects.filter(pk=self.serial_no).exists():
            raise KnownSerial
        over = Q(status=AppKeyStatus.REVOKED) | Q(not_after__lte=now)
        if self.app.keys.exclude(over).count() >= LIVE_KEYS_MAX:
            raise TooManyKeys

    @classmethod
    def lock_own(cls, *, app_id: int, serial_no: str) -> "AppKey":
        """The app's own key, held until the transaction ends; lock the app first. Raises DoesNotExist."""
        return cls.objects.select_for_update(of=("self",)).select_related("app").get(pk=serial_no, app_id=app_id)

    def is_live(self, *, now: datetime) -> bool:
        """Whether this key counts at `now`."""
        if self.status not in COUNTING:
            return False
        return self.not_before <= now and (self.not_after is None or now < self.not_after)

    def prove(self, *, by: Actor, now: datetime) -> None:
        """Somebody has shown to hold the private half. Raises KnownFingerprint when another app was faster."""
        self.proven_at = now
        try:
            with transaction.atomic():
                self._move(KeyEventKind.PROVEN, by=by, now=now, fields=["proven_at"])
        except IntegrityError as error:
            if FINGERPRINT_UNIQUE not in str(error):
                raise
            raise KnownFingerprint from error

    def retire(self, *, not_after: datetime, now: datetime, by: Actor = SYSTEM) -> None:
        """Count until `not_after` and then no more; never for longer than was said before. Raises MoveRefused for a
        key that does not count any more, LifetimeRefused for a date that has passed.
        """
        if self.not_after is not None and self.not_after <= now:
            raise MoveRefused
        if not_after <= max(now, self.not_before):
            raise LifetimeRefused
        self.not_after = min(not_after, self.not_after or not_after)
        self._move(KeyEventKind.RETIRED, by=by, now=now, fields=["not_after"], not_after=self.not_after.isoformat())

    def revoke(self, *, now: datetime, by: Actor = SYSTEM) -> None:
        """From within 5 s on, nothing signed by this key is accepted anywhere. There is no way back."""
        if self.status != AppKeyStatus.REVOKED:
            self.revoked_at = now
            self._move(KeyEventKind.REVOKED, by=by, now=now, fields=["revoked_at"])

    def _move(self, kind: KeyEventKind, *, by: Actor, now: datetime, fields: list[str], **detail: Any) -> None:
        self.status = next_status(AppKeyStatus(self.status), kind)
        with transaction.atomic():
            self.save(update_fields=["status", *fields])
            KeyEvent.record(self, kind, by=by, now=now, **detail)

    @classmethod
    def touch(cls, serial_no: str, *, now: datetime) -> None:
        """Remember that the key was used, at most once a minute."""
        stale = Q(last_used_at=None) | Q(last_used_at__lt=now - TOUCH_EVERY)
        cls.objects.filter(stale, pk=serial_no).update(last_used_at=now)


class PlatformKeyStatus(models.TextChoices):
    PUBLISHED = "published", _("published")  # listed, so that merchants can fetch it, but not used by default yet
    CURRENT = "current", _("current")
    RETIRING = "retiring", _("retiring")  # works only for those who still ask for it
    RETIRED = "retired", _("retired")


LIVE_PLATFORM_STATUSES = (PlatformKeyStatus.PUBLISHED, PlatformKeyStatus.CURRENT, PlatformKeyStatus.RETIRING)


class PlatformKey(models.Model):
    """Our own key pair. The private half is sealed to this row and is never shown, logged or exported."""

    serial_no = models.CharField(_("serial no."), max_length=64, primary_key=True)
    purpose = models.CharField(_("purpose"), max_length=8, choices=Purpose.choices(), default=Purpose.SIGN.value)
    algorithm = models.CharField(_("algorithm"), max_length=16, choices=Algorithm.choices())
    public_key_pem = models.TextField(_("public key"))
    private_key_sealed = SealedField()
    # For clients that fetch certificates instead of keys; None for keys from before there were any.
    certificate_pem = models.TextField(_("certificate"), null=True, editable=False)
    status = models.CharField(_("status"), max_length=16, choices=PlatformKeyStatus.choices)
    notify_share = models.PositiveSmallIntegerField(
        _("share of notifications (%)"), default=0, help_text=_("How many it signs while it is only published.")
    )
    not_before = models.DateTimeField(_("valid from"))
    not_after = models.DateTimeField(_("valid until"))
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        verbose_name = _("platform key")
        verbose_name_plural = _("platform keys")
        constraints = [
            models.UniqueConstraint(
                fields=["purpose", "algorithm"],
                condition=Q(status=PlatformKeyStatus.CURRENT),
                name="platform_key_one_current",
            ),
            models.CheckConstraint(
                condition=Q(serial_no__regex=r"^[A-Za-z0-9_]{8,64}$"), name="platform_key_serial_no_shape"
            ),
            one_of("status", PlatformKeyStatus, name="platform_key_status_known"),
            _fits_purpose(name="platform_key_algorithm_fits_purpose"),
            models.CheckConstraint(
                condition=Q(notify_share=0)
                | Q(notify_share__lte=100, purpose=SIGN, status=PlatformKeyStatus.PUBLISHED),
                name="platform_key_share_of_the_published",
            ),
            models.CheckConstraint(condition=Q(not_after__gt=F("not_before")), name="platform_key_lifetime_in_order"),
        ]
        permissions = [("share_platformkey", "Can let a published key sign a share of the notifications")]

    def __str__(self) -> str:
        return self.serial_no

    @classmethod
    def publish(
        cls,
        *,
        pair: "tuple[PublicKeyFacts, bytes]",
        status: PlatformKeyStatus,
        now: datetime,
        lifetime: timedelta,
        by: Actor = SYSTEM,
    ) -> "PlatformKey":
        """Write down a fresh pair: the public half's facts and the private half as PKCS #8 DER."""
        facts, private_der = pair
        key = cls(
            serial_no=new_serial_no(),
            purpose=facts.algorithm.purpose,
            algorithm=facts.algorithm,
            public_key_pem=facts.pem,
            status=status,
            not_before=now,
            not_after=now + lifetime,
            created_at=now,
        )
        seal_column(key, "private_key_sealed", private_der)
        if facts.algorithm is Algorithm.RSA_SHA256:
            key.certificate_pem = self_signed(
                private_der, serial_no=key.serial_no, not_before=key.not_before, not_after=key.not_after
            )
        with transaction.atomic():
            key.save(force_insert=True)
            KeyEvent.record(key, KeyEventKind.PUBLISHED, by=by, now=now, status=status)
        return key

    def private_der(self) -> bytes:
        """The private half, opened, as PKCS #8 DER."""
        return open_column(self, "private_key_sealed")

    def is_live(self, *, now: datetime) -> bool:
        return self.status in LIVE_PLATFORM_STATUSES and self.not_before <= now < self.not_after

    def promote(self, *, now: datetime, overlap: timedelta, by: Actor = SYSTEM) -> None:
        """Become the one of its kind that is used; the one until now keeps serving those who ask for it, during
        `overlap`.
        """
        with transaction.atomic():
            same = PlatformKey.objects.filter(purpose=self.purpose, algorithm=self.algorithm)
            for old in same.select_for_update().filter(status=PlatformKeyStatus.CURRENT):
                old.status = PlatformKeyStatus.RETIRING
                old.not_after = min(old.not_after, max(now + overlap, old.not_before + timedelta(seconds=1)))
                old.save(update_fields=["status", "not_after"])
                KeyEvent.record(old, KeyEventKind.RETIRED, by=by, now=now, not_after=old.not_after.isoformat())
            self.status, self.notify_share = PlatformKeyStatus.CURRENT, 0
            self.save(update_fields=["status", "notify_share"])
            KeyEvent.record(self, KeyEventKind.PROMOTED, by=by, now=now)

    def set_notify_share(self, share: int, *, now: datetime, by: Actor = SYSTEM) -> None:
        """Let this published key sign `share` per cent of the notifications already. Raises MoveRefused for a key that
        is not published, or does not sign.
        """
        if self.status != PlatformKeyStatus.PUBLISHED or self.purpose != Purpose.SIGN or not 0 <= share <= 100:
            raise MoveRefused
        self.notify_share = share
        with transaction.atomic():
            self.save(update_fields=["notify_share"])
            KeyEvent.record(self, KeyEventKind.SHARE_SET, by=by, now=now, share=share)

    def retire(self, *, now: datetime, by: Actor = SYSTEM) -> None:
        """Stop being listed and used. The row stays: old answers name it."""
        self.status, self.notify_share = PlatformKeyStatus.RETIRED, 0
        with transaction.atomic():
            self.save(update_fields=["status", "notify_share"])
            KeyEvent.record(self, KeyEventKind.RETIRED, by=by, now=now)
