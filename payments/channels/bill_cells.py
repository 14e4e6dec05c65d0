"""Cells of a bill's line, whatever the channel: by the name of their column, and exactly what they say.

Money is text in yuan. It becomes an integer by Decimal or not at all: nothing here rounds.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from payments.channels.answers import our_number
from payments.channels.bills import BillLine, BillSpoiled, UnreadableRow
from payments.channels.days import BEIJING

UNREADABLE_MAX = 1_000  # more, and it is the layout that we do not know
TEXT_LENGTH_MAX = 4_000  # of a line that is kept because it cannot be read
NUMBER_MAX = 2**63 - 1
FEN_PLACES, MILLIFEN_PLACES = 2, 5
_NUMBER = re.compile(r"[!-~]{1,64}")
_YUAN = re.compile(r"[+-]?[0-9]{1,13}(\.[0-9]{1,10})?")
_BAD_BYTE = re.compile("[\ud800-\udfff]")
_FULL_WIDTH = str.maketrans("（）", "()")
_AROUND = " \t\r\n\ufeff"  # blanks, a TAB that keeps spreadsheets from rounding, a byte order mark


class Unreadable(Exception):
    """This line cannot be read; the text says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Header:
    """The columns of a bill by their names: their order and their number are the channel's to change."""

    names: tuple[str, ...]

    @classmethod
    def read(cls, cells: Sequence[str], *, needed: frozenset[str]) -> "Header":
        """Raises BillSpoiled for a header without one of the `needed` columns."""
        names = tuple(column_name(cell) for cell in cells)
        missing = sorted(column_name(name) for name in needed if column_name(name) not in names)
        if missing:
            raise BillSpoiled(f"no column {', '.join(missing)}")
        return cls(names=names)

    def row(self, cells: Sequence[str]) -> "Row":
        """Raises Unreadable for a line with another number of cells: then none of them is surely in its column."""
        if len(cells) != len(self.names):
            raise Unreadable(f"{len(cells)} cells under {len(self.names)} columns")
        return Row(cells=dict(zip(self.names, cells, strict=True)))


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line's cells. Each method raises Unreadable for a cell that does not say such a thing."""

    cells: Mapping[str, str]

    def text(self, name: str) -> str:
        """What stands there, "" also where the bill has no such column."""
        return self.cells.get(column_name(name), "").strip(_AROUND)

    def number(self, name: str) -> str:
        """A number or an id, theirs or the merchant's: printable ASCII, as our columns hold it; "" and 0 are none."""
        text = self.text(name)
        if text in {"", "0"}:
            return ""
        if not _NUMBER.fullmatch(text):
            raise Unreadable(f"{name} is no number")
        return text

    def fen(self, name: str) -> int:
        return self._money(name, places=FEN_PLACES)

    def millifen(self, name: str) -> int:
        return self._money(name, places=MILLIFEN_PLACES)

    def at(self, name: str) -> datetime:
        """A time of Beijing's clocks, in UTC."""
        try:
            local = datetime.strptime(self.text(name), "%Y-%m-%d %H:%M:%S").replace(tzinfo=BEIJING)
        except ValueError as error:
            raise Unreadable(f"{name} is no time") from error
        return local.astimezone(UTC)

    def _money(self, name: str, *, places: int) -> int:
        exact = units(self.text(name), places=places)
        if exact is None:
            raise Unreadable(f"{name} is no amount")
        return exact


@dataclass(kw_only=True)
class RowReader:
    """Reads lines one by one; one that cannot be read is kept as it stands, unless there are too many of them."""

    header: Header
    cells: Callable[[str], Sequence[str]]
    read: Callable[[int, Row], BillLine]
    unreadable_count: int = 0

    def row(self, line_no: int, line: str) -> BillLine:
        """Raises BillSpoiled when it is the layout that is not ours to read."""
        try:
            if _BAD_BYTE.search(line):
                raise Unreadable("a character that is none")  # noqa: TRY301 - kept like the others, below
            return self.read(line_no, self.header.row(self.cells(line)))
        except Unreadable as problem:
            self.unreadable_count += 1
            if self.unreadable_count > UNREADABLE_MAX:
                raise BillSpoiled(f"too many lines that cannot be read: {problem.reason}") from problem
            return UnreadableRow(line_no=line_no, text=_kept(line), reason=problem.reason)


def not_negative(fen: int, name: str) -> int:
    if fen < 0:
        raise Unreadable(f"{name} is negative")
    return fen


def decoded(line: bytes, charset: str) -> str:
    """The text of a line; a byte that is part of no character stays in it, and makes the line one that is kept."""
    return line.decode(charset, errors="surrogateescape")


def _kept(line: str) -> str:
    """As much of a line as is kept, without what a column cannot hold."""
    text = _BAD_BYTE.sub("\ufffd", line.strip("\r\n"))
    return text.replace("\0", "\ufffd")[:TEXT_LENGTH_MAX]


def units(text: str, *, places: int) -> int | None:
    """Yuan as an integer of the unit that has so many places: "0.24000" is 24 fen and 24000 thousandths of a fen.

    A count is the same with no places, also where it is written as `45.0`. None for a text that is none, or that has a
    part of the unit.
    """
    if not _YUAN.fullmatch(text):
        return None
    exact = Decimal(text).scaleb(places)
    return int(exact) if exact == exact.to_integral_value() else None


def column_name(text: str) -> str:
    """A column's name, whichever brackets stand around its unit."""
    return text.strip(_AROUND).translate(_FULL_WIDTH)


def ours_or_foreign(text: str) -> tuple[int, str]:
    """One of our own numbers and "", or 0 and a number that is none of ours, as it is written."""
    number = our_number(text)
    is_ours = 0 < number <= NUMBER_MAX and str(number) == text
    return (number, "") if is_ours else (0, text)
