"""What is packed is unpacked line by line, within what was allowed, and only if it is whole."""

import collections
import gzip
import io
import itertools
import struct
import tracemalloc
import zipfile

import pytest

from payments.channels import unpacking
from payments.channels.bills import BillSpoiled

LINES = [b"one\r\n", b"two\r\n", b"\n", b"last"]
MANY = 1_000_000


def zipped(entries, *, method=zipfile.ZIP_DEFLATED, comment=b""):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.comment = comment
        for name, content in entries.items():
            archive.writestr(name, content)
    return file


def read_zip(file, bytes_max=MANY):
    return [list(lines) for lines in unpacking.zip_entries(file, bytes_max=bytes_max)]


def read_gzip(content, bytes_max=MANY):
    return list(unpacking.gzip_lines(io.BytesIO(content), bytes_max=bytes_max))


def test_lines_come_with_their_ends_from_the_beginning_of_the_file():
    assert read_gzip(gzip.compress(b"".join(LINES))) == LINES
    file = zipped({"a.csv": b"".join(LINES), "b.csv": b"x\n"}, comment=b"a comment")
    assert read_zip(file) == read_zip(file) == [LINES, [b"x\n"]]


def test_names_of_entries_are_never_used_as_paths():
    assert read_zip(zipped({"../../etc/passwd": b"x\n", "/abs": b"y\n"})) == [[b"x\n"], [b"y\n"]]


@pytest.mark.parametrize("kind", ["gzip", "zip"])
def test_a_bomb_ends_at_what_was_allowed_and_costs_no_memory(kind):
    blank = b"\n" * 100_000_000
    file = zipped({"bomb": blank}) if kind == "zip" else io.BytesIO(gzip.compress(blank))
    del blank
    read = unpacking.zip_entries if kind == "zip" else lambda file, **limit: [unpacking.gzip_lines(file, **limit)]
    tracemalloc.start()
    with pytest.raises(BillSpoiled, match="more than was allowed"):
        collections.deque(itertools.chain.from_iterable(read(file, bytes_max=200_000)), maxlen=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


def test_the_limit_is_for_all_entries_together():
    with pytest.raises(BillSpoiled, match="more than was allowed"):
        read_zip(zipped({str(number): b"x\n" * 100 for number in range(5)}), bytes_max=900)


def test_one_endless_line_is_not_held_in_memory():
    with pytest.raises(BillSpoiled, match="a line is too long"):
        read_gzip(gzip.compress(b"x" * 10_000_000), bytes_max=100_000_000)
    assert read_gzip(gzip.compress(b"x" * (unpacking.LINE_BYTES_MAX - 1) + b"\n")), "a long one may be"


def overlapping(file):
    """The list of entries names the first one a hundred times."""
    content = file.getvalue()
    start = content.index(b"PK\x01\x02")
    end = content.rindex(b"PK\x05\x06")
    entry = content[start:end]
    count = 100
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, count, count, len(entry) * count, start, 0)
    return io.BytesIO(content[:start] + entry * count + tail)


def with_a_locator_of_large_files(file):
    content = file.getvalue()
    end = content.rindex(b"PK\x05\x06")
    return io.BytesIO(content[:end] + struct.pack("<4sIQI", b"PK\x06\x07", 0, 0, 1) + content[end:])


ONE = zipped({"a.csv": b"".join(LINES) * 100})
SPOILED_ZIPS = {
    "nothing": io.BytesIO(b""),
    "a page": io.BytesIO(b"<html>" * 100),
    "cut off": io.BytesIO(ONE.getvalue()[:-10]),
    "cut in the middle": io.BytesIO(ONE.getvalue()[: len(ONE.getvalue()) // 2]),
    "a byte flipped": io.BytesIO(ONE.getvalue().replace(b"a.csv", b"a.csv", 1)[:60] + b"\0\0" + ONE.getvalue()[62:]),
    "too many entries": zipped({str(number): b"x" for number in range(20)}),
    "one entry named often": overlapping(ONE),
    "a list of entries elsewhere": with_a_locator_of_large_files(ONE),
    "packed in another way": zipped({"a.csv": b"x\n"}, method=zipfile.ZIP_BZIP2),
}


@pytest.mark.parametrize("file", SPOILED_ZIPS.values(), ids=SPOILED_ZIPS)
def test_what_is_no_whole_zip_of_a_bill_is_spoiled(file):
    with pytest.raises(BillSpoiled):
        read_zip(file)


@pytest.mark.parametrize(
    "content",
    [b"", b"plain text", gzip.compress(b"x\n" * 10_000)[:-9], b"\x1f\x8b" + b"\0" * 30],
    ids=["nothing", "plain", "cut off", "garbage"],
)
def test_what_is_no_whole_gzip_file_is_spoiled(content):
    if not content:
        assert read_gzip(content) == [], "no line, and so no bill: the parser says that"
        return
    with pytest.raises(BillSpoiled):
        read_gzip(content)
