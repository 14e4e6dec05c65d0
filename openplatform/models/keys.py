"""Keys: the merchants' public ones, with which we verify, and our own pairs, with which we sign."""

from datetime import datetime, timedelta

from django.db import models, transaction
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from openplatform.certificates import self_signed
from openplatform.key_material import Algorithm, PublicKeyFacts, check_serial_no, new_serial_no, read_public_key
from openplatform.key_material import KeyRefused as KeyRefused  # noqa: PLC0414 - raised by the factories below
from openplatform.models.app import App
from openplatform.models.base import one_of
from openplatform.sealing import seal, unseal

TOUCH_EVERY = timedelta(minutes=1)
LIVE_KEYS_MAX = 5


class KnownFingerprint(KeyRefused):
    """This public key was registered before, by whomever: two owners of one key could pass for each other."""

    code = "KEY_ALREADY_REGISTERED"


class KnownSerial(KeyRefused):
    """This serial number was given out before."""

    code = "KEY_SERIAL_TAKEN"


class TooManyKeys(KeyRefused):
    """The app has as many live keys as an app may have; revoke one first."""

    code = "KEY_TOO_MANY"


class AppKeyStatus(models.TextChoices):
    PENDING = "pending", _("pending")
    ACTIVE = "active", _("active")
    RETIRING = "retiring", _("retiring")
    REVOKED = "revoked", _("revoked")


class AppKey(models.Model):
    """A merchant's public key. The row outlives the key: a fingerprint is unique over all keys that ever were."""

    serial_no = models.CharField(_("serial no."), max_length=64, primary_key=True)
    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="keys", verbose_name=_("app"))
    algorithm = models.CharField(_("algorithm"), max_length=16, choices=Algorithm.choices())
    public_key_pem = models.TextField(_("public key"))
    fingerprint = models.CharField(_("fingerprint"), max_length=64, help_text=_("SHA-256 of the SPKI, hex."))
    status = models.CharField(_("status"), max_length=16, choices=AppKeyStatus.choices, default=AppKeyStatus.ACTIVE)
    not_before = models.DateTimeField(_("valid from"))
    not_after = models.DateTimeField(_("valid until"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"))
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)

    class Meta:
        verbose_name = _("app key")
        verbose_name_plural = _("app keys")
        constraints = [
            models.UniqueConstraint(fields=["fingerprint"], name="app_key_fingerprint_unique_for_ever"),
            models.CheckConstraint(
                condition=Q(serial_no__regex=r"^[A-Za-z0-9_]{8,64}$"), name="app_key_serial_no_shape"
            ),
            models.CheckConstraint(condition=Q(fingerprint__regex=r"^[0-9a-f]{64}$"), name="app_key_fingerprint_shape"),
            one_of("status", AppKeyStatus, name="app_key_status_known"),
            models.CheckConstraint(
                condition=Q(not_after=None) | Q(not_after__gt=F("not_before")), name="app_key_lifetime_in_order"
            ),
            models.CheckConstraint(
                condition=Q(status=AppKeyStatus.REVOKED, revoked_at__isnull=False)
                | (~Q(status=AppKeyStatus.REVOKED) & Q(revoked_at=None)),
                name="app_key_revoked_has_time",
            ),
        ]
        permissions = [("revoke_appkey", "Can revoke an app's key")]

    def __str__(self) -> str:
        return self.serial_no

    @classmethod
    def register(
        cls,
        *,
        app: App,
        public_key_pem: str,
        now: datetime,
        serial_no: str | None = None,
        not_after: datetime | None = None,
    ) -> "AppKey":
        """Write down a public key of `app`, active from `now`. `serial_no` is made up when none is given.

        Raises KeyRefused, by a subclass that names why; the text may be shown to whoever pasted the key.
        """
        facts = read_public_key(public_key_pem)
        serial_no = serial_no or new_serial_no()
        with transaction.atomic():
            App.objects.select_for_update().get(pk=app.pk)  # the count below must hold when two register at once
            cls._refuse_known(app=app, facts=facts, serial_no=serial_no)
            key = cls(
                serial_no=serial_no,
                app=app,
                algorithm=facts.algorithm,
                public_key_pem=facts.pem,
                fingerprint=facts.fingerprint,
                not_before=now,
                not_after=not_after,
                created_at=now,
            )
            key.save(force_insert=True)
        return key

    @classmethod
    def _refuse_known(cls, *, app: App, facts: PublicKeyFacts, serial_no: str) -> None:
        check_serial_no(serial_no)
        if cls.objects.filter(fingerprint=facts.fingerprint).exists():
            raise KnownFingerprint
        if cls.objects.filter(pk=serial_no).exists():
            raise KnownSerial
        if app.keys.exclude(status=AppKeyStatus.REVOKED).count() >= LIVE_KEYS_MAX:
            raise TooManyKeys

    def is_live(self, *, now: datetime) -> bool:
        """Whether a signature by this key counts at `now`."""
        if self.status not in {AppKeyStatus.ACTIVE, AppKeyStatus.RETIRING}:
            return False
        return self.not_before <= now and (self.not_after is None or now < self.not_after)

    def revoke(self, *, now: datetime) -> None:
        """From within 5 s on, nothing signed by this key is accepted anywhere. There is no way back."""
        if self.status != AppKeyStatus.REVOKED:
            self.status = AppKeyStatus.REVOKED
            self.revoked_at = now
            self.save(update_fields=["status", "revoked_at"])

    @classmethod
    def touch(cls, serial_no: str, *, now: datetime) -> None:
        """Remember that the key was used, at most once a minute."""
        stale = Q(last_used_at=None) | Q(last_used_at__lt=now - TOUCH_EVERY)
        cls.objects.filter(stale, pk=serial_no).update(last_used_at=now)


class PlatformKeyStatus(models.TextChoices):
    PUBLISHED = "published", _("published")  # listed, so that merchants can fetch it, but not signing by default yet
    CURRENT = "current", _("current")
    RETIRING = "retiring", _("retiring")  # signs only for those who still ask for it
    RETIRED = "retired", _("retired")


LIVE_PLATFORM_STATUSES = (PlatformKeyStatus.PUBLISHED, PlatformKeyStatus.CURRENT, PlatformKeyStatus.RETIRING)


class PlatformKey(models.Model):
    """Our own key pair. The private half is sealed to this row and is never shown, logged or exported."""

    serial_no = models.CharField(_("serial no."), max_length=64, primary_key=True)
    algorithm = models.CharField(_("algorithm"), max_length=16, choices=Algorithm.choices())
    public_key_pem = models.TextField(_("public key"))
    private_key_sealed = models.BinaryField(editable=False)
    # For clients that fetch certificates instead of keys; None for keys from before there were any.
    certificate_pem = models.TextField(_("certificate"), null=True, editable=False)
    status = models.CharField(_("status"), max_length=16, choices=PlatformKeyStatus.choices)
    not_before = models.DateTimeField(_("valid from"))
    not_after = models.DateTimeField(_("valid until"))
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        verbose_name = _("platform key")
        verbose_name_plural = _("platform keys")
        constraints = [
            models.UniqueConstraint(
                fields=["status"],
                condition=Q(status=PlatformKeyStatus.CURRENT),
                name="platform_key_one_current",
            ),
            models.CheckConstraint(
                condition=Q(serial_no__regex=r"^[A-Za-z0-9_]{8,64}$"), name="platform_key_serial_no_shape"
            ),
            one_of("status", PlatformKeyStatus, name="platform_key_status_known"),
            models.CheckConstraint(condition=Q(not_after__gt=F("not_before")), name="platform_key_lifetime_in_order"),
        ]

    def __str__(self) -> str:
        return self.serial_no

    @classmethod
    def publish(
        cls, *, pair: "tuple[PublicKeyFacts, bytes]", status: PlatformKeyStatus, now: datetime, lifetime: timedelta
    ) -> "PlatformKey":
        """Write down a fresh pair: the public half's facts and the private half as PKCS #8 DER."""
        facts, private_der = pair
        key = cls(
            serial_no=new_serial_no(),
            algorithm=facts.algorithm,
            public_key_pem=facts.pem,
            status=status,
            not_before=now,
            not_after=now + lifetime,
            created_at=now,
        )
        key.private_key_sealed = seal(private_der, aad=key._aad())
        if facts.algorithm is Algorithm.RSA_SHA256:
            key.certificate_pem = self_signed(
                private_der, serial_no=key.serial_no, not_before=key.not_before, not_after=key.not_after
            )
        key.save(force_insert=True)
        return key

    def private_der(self) -> bytes:
        """The private half, opened, as PKCS #8 DER."""
        return unseal(bytes(self.private_key_sealed), aad=self._aad())

    def is_live(self, *, now: datetime) -> bool:
        return self.status in LIVE_PLATFORM_STATUSES and self.not_before <= now < self.not_after

    def promote(self, *, now: datetime, overlap: timedelta) -> None:
        """Become the one signer; the signer until now keeps answering those who ask for it during `overlap`."""
        with transaction.atomic():
            for old in PlatformKey.objects.select_for_update().filter(status=PlatformKeyStatus.CURRENT):
                old.status = PlatformKeyStatus.RETIRING
                old.not_after = min(old.not_after, max(now + overlap, old.not_before + timedelta(seconds=1)))
                old.save(update_fields=["status", "not_after"])
            self.status = PlatformKeyStatus.CURRENT
            self.save(update_fields=["status"])

    def retire(self) -> None:
        """Stop being listed and signing. The row stays: old answers name it."""
        self.status = PlatformKeyStatus.RETIRED
        self.save(update_fields=["status"])

    def _aad(self) -> str:
        return f"openplatform_platformkey:private_key:{self.serial_no}"
