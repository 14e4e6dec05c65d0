"""What the model's respCode means for each operation, as data.

Three codes decide nothing, whatever was asked: 02 they are at it, 12 the number was used before (perhaps by a request
of ours whose answer was lost), 99 they do not know. Any other code of a signed answer is a refusal. That is how the
protocol puts it, so here an unnamed code ends an operation, as at no other channel; a table names what means more.
"""

from payments.channels.answers import Reaction

SUCCESS, PAYING, ASK = "00", "02", "99"
OTHERS = Reaction.REJECTED

_UNDECIDED = {PAYING: Reaction.UNKNOWN, "12": Reaction.UNKNOWN, ASK: Reaction.UNKNOWN}
_ACCOUNT = {"03": Reaction.ACCOUNT, "11": Reaction.ACCOUNT}  # the merchant is not known; our signature is wrong
_NOT_FOUND = {"25": Reaction.NOT_FOUND}

CREATE = _UNDECIDED | _ACCOUNT
QUERY = _UNDECIDED | _NOT_FOUND
CLOSE = _UNDECIDED | _NOT_FOUND
# A refund stays open on configuration trouble and on an empty account: the same number is sent again later.
REFUND = _UNDECIDED | {"03": Reaction.UNKNOWN, "11": Reaction.UNKNOWN, "51": Reaction.UNKNOWN}
QUERY_REFUND = _UNDECIDED | _NOT_FOUND
USER = _UNDECIDED
