"""Which entries are about something that somebody has at hand. Nothing here writes."""

from datetime import datetime

from django.db.models import Q, QuerySet

from openplatform.blocks.networks import networks_around, place_text, read_address
from openplatform.blocks.values import Kind, host_and_above
from openplatform.models.blocks import BlockEntry


def about(text: str) -> Q:
    """A condition: the thing itself, every network around an address, a name above a host, the end of a payer's id."""
    text = text.strip()
    wanted = {text, *host_and_above(text), *_around(text)} - {""}
    return Q(value__in=wanted) | Q(kind=Kind.PAYER_HASH, tail=text)


def live_entries(*, now: datetime, kind: str = "", text: str = "") -> QuerySet[BlockEntry]:
    """What is in force, the newest first."""
    conditions = about(text) if text else Q()
    if kind:
        conditions &= Q(kind=kind)
    return BlockEntry.live(now=now).filter(conditions).order_by("-pk")


def _around(text: str) -> set[str]:
    try:
        return {place_text(network) for network in networks_around(read_address(text))}
    except ValueError:
        return set()
