"""Who did what to which key, and the challenges by which keys are proven."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from openplatform.key_states import Actor, ActorKind, KeyEventKind
from openplatform.models.base import AppendOnly, one_of

if TYPE_CHECKING:
    from openplatform.models.keys import AppKey, PlatformKey

CHALLENGE_LIFETIME = timedelta(minutes=10)


class KeyEvent(AppendOnly):
    """One thing that happened to one key. Written in the transaction of what it tells, and never changed."""

    key = models.ForeignKey(
        "openplatform.AppKey", null=True, on_delete=models.PROTECT, related_name="events", verbose_name=_("app key")
    )
    platform_key = models.ForeignKey(
        "openplatform.PlatformKey", null=True, on_delete=models.PROTECT, related_name="events",
        verbose_name=_("platform key"),
    )  # fmt: skip
    kind = models.CharField(_("what"), max_length=16, choices=KeyEventKind.choices)
    actor_kind = models.CharField(_("by"), max_length=16, choices=ActorKind.choices())
    actor = models.CharField(_("who"), max_length=150, blank=True, help_text=_("A serial number or a user name."))
    detail = models.JSONField(_("detail"), default=dict)
    created_at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("key event")
        verbose_name_plural = _("key events")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(key__isnull=True, platform_key__isnull=False)
                | Q(key__isnull=False, platform_key__isnull=True),
                name="key_event_of_one_key",
            ),
            one_of("kind", KeyEventKind, name="key_event_kind_known"),
            models.CheckConstraint(
                condition=Q(actor_kind__in=[kind.value for kind in ActorKind]), name="key_event_actor_kind_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key_id or self.platform_key_id}"

    @classmethod
    def record(
        cls, key: "AppKey | PlatformKey", kind: KeyEventKind, *, by: Actor, now: datetime, **detail: Any
    ) -> None:
        column = "platform_key" if key._meta.model_name == "platformkey" else "key"
        event = cls(kind=kind, actor_kind=by.kind, actor=by.name, detail=detail, created_at=now)
        setattr(event, column, key)
        event.save(force_insert=True)


class KeyChallenge(models.Model):
    """What the holder of a pending key must answer: bound to that key, and so to its app and fingerprint.

    `text` is signed by the new private key as it stands; for a key that decrypts it is a JWE, and the answer is what is
    inside, of which we keep only the digest.
    """

    key = models.ForeignKey("openplatform.AppKey", on_delete=models.PROTECT, related_name="challenges")
    text = models.TextField()
    answer_digest = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key"], condition=Q(used_at=None), name="key_challenge_one_open_per_key"),
            models.UniqueConstraint(fields=["text"], name="key_challenge_text_unique"),
            models.CheckConstraint(condition=Q(expires_at__gt=F("created_at")), name="key_challenge_times_in_order"),
        ]

    def __str__(self) -> str:
        return f"challenge {self.pk}"

    @classmethod
    def issue(cls, key: "AppKey", *, text: str, answer_digest: str, now: datetime) -> "KeyChallenge":
        """A fresh challenge; the one before it, if any, is void from now on. The key's row must be locked."""
        cls.objects.filter(key=key, used_at=None).update(used_at=now)
        challenge = cls(
            key=key, text=text, answer_digest=answer_digest, created_at=now, expires_at=now + CHALLENGE_LIFETIME
        )
        challenge.save(force_insert=True)
        return challenge

    @classmethod
    def open_of(cls, key: "AppKey", *, now: datetime) -> "KeyChallenge | None":
        """The one that can still be answered."""
        return cls.objects.filter(key=key, used_at=None, expires_at__gt=now).first()

    def use(self, *, now: datetime) -> None:
        self.used_at = now
        self.save(update_fields=["used_at"])
