"""Rows of money. Writes go through the factories and mutators here; operations decide when."""

from payments.models.account import ChannelAccount
from payments.models.bill import Bill
from payments.models.bill_file import BillFile, BillFilePart, BillFinding, BillFlowRow, BillRow, BillUnreadableRow
from payments.models.callback import Callback, Case
from payments.models.channel_certificate import ChannelCertificate
from payments.models.event import StateEvent
from payments.models.ledger import LedgerAccount, LedgerEntry, Posting
from payments.models.order import Door, Order, OrderNotPaid, OrderWish, RefundExceedsPaid
from payments.models.pay_code import PayCode
from payments.models.payment import Payment
from payments.models.policy import LatePayment, OrderPolicy
from payments.models.refund import Refund, RefundWish

__all__ = [
    "Bill", "BillFile", "BillFilePart", "BillFinding", "BillFlowRow", "BillRow", "BillUnreadableRow", "Callback",
    "Case", "ChannelAccount", "ChannelCertificate", "Door", "LatePayment", "LedgerAccount", "LedgerEntry", "Order",
    "OrderNotPaid", "OrderPolicy", "OrderWish", "PayCode", "Payment", "Posting", "Refund", "RefundExceedsPaid",
    "RefundWish", "StateEvent",
]  # fmt: skip
