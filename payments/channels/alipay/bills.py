"""Asks Alipay for a bill: where its file is, and the file itself, which is at another host than the gateway.

Source: opendocs.alipay.com/open/028wob. The address is good for thirty seconds and opens the file to whoever has it,
so nothing of ours is sent there, and the address is neither logged nor kept.
"""

from datetime import datetime
from typing import BinaryIO
from urllib.parse import urlsplit, urlunsplit

from opentelemetry.trace import SpanKind
from requests import Request, RequestException

from openplatform import transport
from openplatform.tracing import span
from payments.channels.alipay import bill_reading, reactions
from payments.channels.alipay.client import AlipayClient, Answer
from payments.channels.answers import Reaction, Refusal, refused
from payments.channels.base import Accepted, BillAnswer, Empty, Unknown
from payments.channels.bills import BillFacts, BillItems, BillWish
from payments.channels.unpacking import zip_entries
from payments.states import BillKind

BILL_HOSTS = ("dwbillcenter.alipay.com",)  # unless the account's `bill_hosts` name others
BILL_TYPES = {BillKind.TRADE: "trade", BillKind.FUND_FLOW: "signcustomer"}


def download(client: AlipayClient, wish: BillWish, *, into: BinaryIO, now: datetime) -> BillAnswer:
    answer = client.call(
        "alipay.data.dataservice.bill.downloadurl.query",
        content={"bill_type": BILL_TYPES[wish.kind], "bill_date": wish.day.isoformat()},
        reactions=reactions.BILL, now=now,
    )  # fmt: skip
    if isinstance(answer, Refusal) and answer.reaction is Reaction.NOT_FOUND:
        return Empty(is_certain=False)  # or it is not made yet: they have one word for both
    if not isinstance(answer, Answer):
        return refused(answer)
    url = _address(client, str(answer.fields.get("bill_download_url", "")))
    if url is None:
        return Unknown(reason="download address of another host", sent=False)
    problem = _fetch(client, url, into=into)
    return Accepted(facts=BillFacts(suffix="zip")) if problem is None else problem


def read(client: AlipayClient, file: BinaryIO, wish: BillWish) -> BillItems:
    files = zip_entries(file, bytes_max=client.config.bills.unpacked_bytes_max)
    return bill_reading.read(files, wish=wish, settings=client.settings)


def _address(client: AlipayClient, told: str) -> str | None:
    """Where the file is fetched from; None for a host that is not allowed.

    They name it over plain HTTP, where anybody in between could read and change the bill: it is asked for over TLS,
    except inside our own network where that was allowed.
    """
    try:
        parts = urlsplit(told)
        scheme = parts.scheme if parts.netloc in client.config.private_hosts else "https"
        normal = Request("GET", urlunsplit((scheme, parts.netloc, parts.path, parts.query, ""))).prepare().url
    except (ValueError, RequestException):
        return None
    allowed = client.settings.get("bill_hosts", BILL_HOSTS)
    is_http = parts.scheme in {"http", "https"}
    return normal if is_http and parts.netloc in allowed and urlsplit(normal).netloc == parts.netloc else None


def _fetch(client: AlipayClient, url: str, *, into: BinaryIO) -> Unknown | None:
    """None when the file is there. That host is not the gateway's, and what is wrong with it says nothing of that."""
    limits = client.config.bills
    with span("alipay bill file", kind=SpanKind.CLIENT):
        try:
            reply = transport.send(
                method="GET", url=url, headers={}, deadline_s=limits.deadline_s, connect_s=client.config.connect_s,
                bytes_max=limits.bytes_max, private_hosts=client.config.private_hosts, into=into,
            )  # fmt: skip
        except (transport.TransportError, ValueError) as error:
            return Unknown(reason=f"file: {getattr(error, 'reason', 'address malformed')}")
    return None if reply.status == 200 else Unknown(reason=f"file: HTTP {reply.status}")
