"""Yuan and fen. Inside, money is an integer number of fen; yuan are text at the edges; a float is never computed with.

The first story of this project: a page sent 40.3 as a float, the server multiplied it by 100 and kept 4029 fen.
"""

import re
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from fractions import Fraction

from payments.errors import PaymentsError

FEN_PER_YUAN = 100
LITERAL_LENGTH_MAX = 40
# A sum of some hundred doubles is off by less than this part of itself. Nobody writes a price that close to a fen.
FLOAT_NOISE = Fraction(1, 2**42)

_PLAIN = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?")
_EXPONENT = re.compile(r"-?[0-9]+(?:\.[0-9]+)?[eE][+-]?[0-9]+")
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)


class AmountError(PaymentsError):
    """The amount is not one that can be paid."""

    code = "PARAM_ERROR"
    reason = "AMOUNT_MALFORMED"


class AmountMalformed(AmountError):
    """The amount must be yuan in plain ASCII digits, for example 40.3 or "40.30"."""


class AmountHasExponent(AmountError):
    """The amount must not be written with an exponent."""

    reason = "AMOUNT_HAS_EXPONENT"


class AmountNotFinite(AmountError):
    """The amount must be a number: NaN and Infinity are not."""

    reason = "AMOUNT_NOT_FINITE"


class AmountNegative(AmountError):
    """The amount must not be negative."""

    reason = "AMOUNT_NEGATIVE"


class AmountNegativeZero(AmountError):
    """The amount must not be minus zero."""

    reason = "AMOUNT_NEGATIVE_ZERO"


class AmountZero(AmountError):
    """The amount must be at least 0.01 yuan."""

    reason = "AMOUNT_ZERO"


class AmountTooLarge(AmountError):
    """The amount is over the limit."""

    reason = "AMOUNT_TOO_LARGE"


class AmountHasPartOfFen(AmountError):
    """The amount has a part of a fen; a fen is the smallest unit."""

    reason = "AMOUNT_HAS_PART_OF_FEN"


def fen_from_yuan(yuan: Decimal | str | int | float) -> int:
    """Integer fen of `yuan`, half a fen and more rounded away from zero, as a person would.

    A float is read by its shortest repr, the text that its author saw. Raises AmountMalformed or AmountNotFinite.
    """
    try:
        exact = Decimal(repr(yuan) if isinstance(yuan, float) else yuan)
    except InvalidOperation as error:
        raise AmountMalformed from error
    if not exact.is_finite():
        raise AmountNotFinite
    return int((exact * FEN_PER_YUAN).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def fen_from_literal(literal: str, *, max_fen: int) -> int:
    """Integer fen of an amount as a caller wrote it: the literal text of a JSON number, a JSON string or a typed field.

    What a browser's arithmetic adds (0.1 + 0.2 prints as 0.30000000000000004) is rounded to the fen that was meant; a
    true part of a fen is refused. Raises one of the AmountError classes; the result is 1 to `max_fen`.
    """
    sign, whole, fraction = _split(literal)
    thousandths = fraction.ljust(3, "0")
    fen = int(whole) * FEN_PER_YUAN + int(thousandths[:2]) + (thousandths[2] >= "5")
    if sign:
        raise AmountNegative if any(digit not in "0." for digit in literal[1:]) else AmountNegativeZero
    if fraction.rstrip("0")[2:]:
        exact = Fraction(int(whole + fraction), 10 ** len(fraction)) * FEN_PER_YUAN
        if abs(exact - fen) > max(exact, Fraction(1)) * FLOAT_NOISE:
            raise AmountHasPartOfFen
    if fen == 0:
        raise AmountZero
    if fen > max_fen:
        raise AmountTooLarge(f"The amount is over the limit of {yuan_text(max_fen)} yuan.")
    return fen


def _split(literal: str) -> tuple[str, str, str]:
    """Sign, whole digits and fraction digits of a plain decimal literal; anything else has a named error."""
    if len(literal) > LITERAL_LENGTH_MAX:
        raise AmountMalformed
    if match := _PLAIN.fullmatch(literal):
        return match[1], match[2], match[3] or ""
    if _EXPONENT.fullmatch(literal):
        raise AmountHasExponent
    if _NOT_FINITE.fullmatch(literal):
        raise AmountNotFinite
    raise AmountMalformed


def yuan_text(fen: int) -> str:
    """`4030` as "40.30": always two decimals, never a float on the way."""
    sign = "-" if fen < 0 else ""
    whole, rest = divmod(abs(fen), FEN_PER_YUAN)
    return f"{sign}{whole}.{rest:02d}"


def fee_text(millifen: int) -> str:
    """`24000` thousandths of a fen as "0.24" yuan, `24180` as "0.2418": exact, and no longer than it must be."""
    sign = "-" if millifen < 0 else ""
    fen, rest = divmod(abs(millifen), 1_000)
    return f"{sign}{yuan_text(fen)}{f'{rest:03d}'.rstrip('0')}"
