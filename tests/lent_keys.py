"""RSA keys that one test has done with serve the next: a tenth of all the tests' time went into making them.

The next one must find no row that knows them: a fingerprint is registered once (conftest.py, `keys_are_lent`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

_generate = rsa.generate_private_key
_free: list[rsa.RSAPrivateKey] = []


def a_key_for_the_run() -> rsa.RSAPrivateKey:
    """One that nobody else is given, wherever this is called."""
    return _generate(65537, 2048)


@contextmanager
def lending() -> Iterator[None]:
    """Within the block a new 2048-bit key of this process may be one that an earlier block had; at its end it is free.

    What is made outside of it, for a module or for the whole run, stays with whom it was made for.
    """
    lent: list[rsa.RSAPrivateKey] = []

    def lend(public_exponent: int, key_size: int, backend: Any = None) -> rsa.RSAPrivateKey:
        if (public_exponent, key_size) != (65537, 2048):
            return _generate(public_exponent, key_size, backend)
        try:
            key = _free.pop()
        except IndexError:
            key = a_key_for_the_run()
        lent.append(key)
        return key

    rsa.generate_private_key = lend
    try:
        yield
    finally:
        rsa.generate_private_key = _generate
        _free.extend(lent)
