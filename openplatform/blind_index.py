"""Finding a row by something that the row does not hold: a keyed hash of it stands in its place.

Whoever reads the database cannot try all values, as with a bare hash, for the key is not there.
"""

import hashlib
import hmac

from openplatform.sealing import derived_key


def blind_index(kind: str, text: str) -> str:
    """HMAC-SHA256 in hex; the same text has another index under another kind. Raises MasterKeyMissing.

    Under a new MASTER_KEY every index is another one.
    """
    return hmac.digest(derived_key("blind index"), f"{kind}:{text}".encode(), hashlib.sha256).hex()
