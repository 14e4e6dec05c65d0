"""Unpacks what a channel has packed, line by line, and never more of it than was allowed for.

A few kilobytes can unpack to gigabytes, so sizes that a file states about itself are not believed: what comes out is
counted. Everything here raises BillSpoiled for what is not whole or not allowed.
"""

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO

from payments.channels.bills import BillSpoiled

LINE_BYTES_MAX = 65_536
ZIP_ENTRIES_MAX = 16
ZIP_DIRECTORY_BYTES_MAX = 65_536
_PLAIN_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the only ones that unpack in small steps
_END_OF_DIRECTORY = struct.Struct("<4sHHHHIIH")  # at the end of a zip file; a comment may follow
_LOCATOR_64_BYTES = 20  # stands before it where there are too many entries for it
_TAIL_BYTES = _LOCATOR_64_BYTES + _END_OF_DIRECTORY.size + 65_535


def gzip_lines(file: BinaryIO, *, bytes_max: int) -> Iterator[bytes]:
    """The lines of a gzip file, each with its line end, from the beginning."""
    file.seek(0)
    with _spoiled_unless_whole("gzip"), gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
        yield from _lines(unpacked, bytes_max=bytes_max)


def zip_entries(file: BinaryIO, *, bytes_max: int) -> Iterator[Iterator[bytes]]:
    """The lines of each entry of a zip file, one entry after the other; `bytes_max` is for all of them together."""
    _check_directory(file)
    with _spoiled_unless_whole("zip"), zipfile.ZipFile(file) as archive:
        left = bytes_max
        for info in archive.infolist():
            if info.compress_type not in _PLAIN_METHODS or info.flag_bits & 1:
                raise BillSpoiled("an entry of the zip file is packed in an unknown way")
            with archive.open(info) as entry:
                yield _entry_lines(entry, bytes_max=left)
                left -= entry.tell()


def _entry_lines(entry: IO[bytes], *, bytes_max: int) -> Iterator[bytes]:
    """Of its own, because it is the caller who reads on, and what is wrong with an entry shows only then."""
    with _spoiled_unless_whole("zip"):
        yield from _lines(entry, bytes_max=bytes_max)


def _lines(unpacked: IO[bytes] | gzip.GzipFile, *, bytes_max: int) -> Iterator[bytes]:
    left = bytes_max
    while line := unpacked.readline(LINE_BYTES_MAX):
        left -= len(line)
        if left < 0:
            raise BillSpoiled("more than was allowed for")
        if len(line) == LINE_BYTES_MAX and not line.endswith(b"\n"):
            raise BillSpoiled("a line is too long")
        yield line


@contextmanager
def _spoiled_unless_whole(kind: str) -> Iterator[None]:
    try:
        yield
    # The last one is what the library says to a kind of compression that it does not know.
    except (EOFError, OSError, zlib.error, zipfile.BadZipFile, NotImplementedError) as error:
        raise BillSpoiled(f"not a whole {kind} file") from error


def _check_directory(file: BinaryIO) -> None:
    """The library reads the whole list of entries at once, so what it would find is looked at first."""
    length = file.seek(0, io.SEEK_END)
    file.seek(max(0, length - _TAIL_BYTES))
    tail = file.read(_TAIL_BYTES)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END_OF_DIRECTORY.size:
        raise BillSpoiled("not a whole zip file")
    _, _, _, _, count, directory_bytes, _, _ = _END_OF_DIRECTORY.unpack_from(tail, at)
    is_large = tail[max(0, at - _LOCATOR_64_BYTES) : at].startswith(b"PK\x06\x07")
    if is_large or count > ZIP_ENTRIES_MAX or directory_bytes > ZIP_DIRECTORY_BYTES_MAX:
        raise BillSpoiled("more entries in the zip file than a bill has")
