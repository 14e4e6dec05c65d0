"""What happens to a call or a notification: an explicit rule goes before a test value; mostly it is neither."""

from sandbox import faults, options, testvalues
from sandbox.faults import Chosen, Subject


def choose(subject: Subject) -> Chosen:
    by_value = testvalues.by_amount(subject) if options.get("test_values") else None
    return faults.by_rule(subject) or by_value or Chosen()
