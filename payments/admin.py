"""Where Django looks for what the console shows: importing a module registers its pages.

Not in the package itself: the theme loads every template library while it is being imported, and ours uses the
console's cells.
"""

from payments.console import (
    bills,
    callbacks,
    cases,
    channel_accounts,
    channel_certificates,
    events,
    ledger,
    notifications,
    orders,
    pay_codes,
    payments,
    policies,
    refunds,
)

__all__ = [
    "bills",
    "callbacks",
    "cases",
    "channel_accounts",
    "channel_certificates",
    "events",
    "ledger",
    "notifications",
    "orders",
    "pay_codes",
    "payments",
    "policies",
    "refunds",
]  # fmt: skip
