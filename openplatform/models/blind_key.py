"""The keys of blind indexes. They are sealed like any secret, so a new MASTER_KEY changes no index."""

import logging
import secrets
import uuid
from datetime import datetime

from django.db import models

from openplatform.models.sealed import SealedField, open_column, seal_column
from openplatform.sealing import SealingError

KEY_BYTES = 32

logger = logging.getLogger(__name__)


class BlindKey(models.Model):
    """The newest makes indexes, all find them. There is more than one only where indexes were made from MASTER_KEY
    itself, as they were before there were rows of this kind.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    key_sealed = SealedField()
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.pk)

    @classmethod
    def all_keys(cls) -> tuple[bytes, ...]:
        """The newest first. One that does not open is left out and logged: it must not take the others away."""
        keys = []
        for row in cls.objects.order_by("-created_at", "pk"):
            try:
                keys.append(open_column(row, "key_sealed"))
            except SealingError as error:
                logger.error("blind key %s: %s; what was entered under it is not found", row.pk, error)  # noqa: TRY400
        return tuple(keys)

    @classmethod
    def ensure(cls, *, now: datetime) -> tuple[bytes, ...]:
        """The keys, the first of which makes indexes; made where there is none. Call it where nobody else can make one
        at the same time.
        """
        if not cls.objects.exists():
            row = cls(created_at=now)
            seal_column(row, "key_sealed", secrets.token_bytes(KEY_BYTES))
            row.save(force_insert=True)
        return cls.all_keys()
