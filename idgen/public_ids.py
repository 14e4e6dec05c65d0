"""An id that is shown to outsiders and is never turned back: chosen once, when the row is made, and kept.

It is the keyed permutation of a snowflake, so it is as unique as one, and tells neither when the row was made nor how
many others were. Numbers made under another key could meet it by a chance of one in 2^63 each: the column's own
constraint refuses that.
"""

from typing import Final

from idgen import next_id
from idgen.conf import setting
from idgen.public import PublicKeysError, PublicNumbers, permute

DIGITS_MIN: Final = 16


def next_public_id() -> int:
    """A new number of 16 to 19 digits, under the first key of IDGEN_PUBLIC_KEYS.

    Raises:
        PublicKeysError: no key is set.
        IdgenUnavailable: no id can be given now.
    """
    if not setting("IDGEN_PUBLIC_KEYS"):
        raise PublicKeysError("IDGEN_PUBLIC_KEYS is not set, and there is no MASTER_KEY to derive it from")
    numbers = PublicNumbers.parse(setting("IDGEN_PUBLIC_KEYS"))
    while True:
        public = permute(next_id(), key=numbers.keys[numbers.current])
        if len(str(public)) >= DIGITS_MIN:  # one in 9,000 is shorter
            return public
