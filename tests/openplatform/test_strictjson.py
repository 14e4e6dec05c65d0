"""One body, one meaning."""

import pytest

from openplatform import strictjson
from openplatform.strictjson import JsonNumber


def test_numbers_stay_the_text_that_was_written():
    found = strictjson.loads(b'{"a": 40.30, "b": -0, "c": 1e3, "d": 123456789012345678901234567890, "e": [1.10]}')
    assert found == {"a": "40.30", "b": "-0", "c": "1e3", "d": "123456789012345678901234567890", "e": ["1.10"]}
    assert all(type(found[name]) is JsonNumber for name in "abcd")
    assert type(strictjson.loads(b'{"a": "40.30"}')["a"]) is str


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"amount": 1, "amount": 2}', "DUPLICATE_KEY"),
        (b'{"a": {"b": 1, "b": 1}}', "DUPLICATE_KEY"),
        (b'{"a": 1, "\\u0061": 2}', "DUPLICATE_KEY"),
        (b'{"a": NaN}', "NOT_A_NUMBER"),
        (b'{"a": Infinity}', "NOT_A_NUMBER"),
        (b'{"a": -Infinity}', "NOT_A_NUMBER"),
        (b"\xef\xbb\xbf{}", "BYTE_ORDER_MARK"),
        ('{"a": "支付"}'.encode("gbk"), "NOT_UTF8"),
        ('{"a": 1}'.encode("utf-16"), "NOT_UTF8"),
        ('{"a": 1}'.encode("utf-16-le"), "NOT_JSON"),
        (b'{"a": "\\ud800"}', "UNSTORABLE_TEXT"),
        (b'{"\\udfff": 1}', "UNSTORABLE_TEXT"),
        (b'{"a": "\\u0000"}', "UNSTORABLE_TEXT"),
        (b'{"a": "\xed\xa0\x80"}', "NOT_UTF8"),
        (b"[]", "NOT_AN_OBJECT"),
        (b'"a"', "NOT_AN_OBJECT"),
        (b"1", "NOT_AN_OBJECT"),
        (b"null", "NOT_AN_OBJECT"),
        (b"", "NOT_JSON"),
        (b"{", "NOT_JSON"),
        (b'{"a": 1} {"a": 2}', "NOT_JSON"),
        (b'{"a": 1,}', "NOT_JSON"),
        (b"{'a': 1}", "NOT_JSON"),
        (b'{"a": 01}', "NOT_JSON"),
        (b'{"a": "line\nbreak"}', "NOT_JSON"),
        ('{"a": ４０}'.encode(), "NOT_JSON"),
    ],
)
def test_what_could_mean_two_things_is_refused_by_name(raw, reason):
    with pytest.raises(strictjson.JsonRefused) as refused:
        strictjson.loads(raw)
    assert refused.value.reason == reason
    assert str(refused.value)


def nest(levels, opening=b'{"a":', closing=b"}"):
    return opening * (levels - 1) + b"{}" + closing * (levels - 1)


def test_thirty_two_levels_are_read_and_thirty_three_are_not():
    strictjson.loads(nest(32))
    with pytest.raises(strictjson.TooDeep):
        strictjson.loads(nest(33))
    strictjson.loads(b'{"a":' + b"[" * 31 + b"1" + b"]" * 31 + b"}")
    with pytest.raises(strictjson.TooDeep):
        strictjson.loads(b'{"a":' + b"[" * 32 + b"]" * 32 + b"}")


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_a_nest_of_a_hundred_thousand_levels_is_refused_like_any_other(opening):
    with pytest.raises(strictjson.TooDeep):
        strictjson.loads(b'{"a":' + opening * 100_000)


def test_text_at_the_deepest_level_is_checked_too():
    with pytest.raises(strictjson.UnstorableText):
        strictjson.loads(b'{"a":' + b"[" * 31 + b'"\\u0000"' + b"]" * 31 + b"}")


def test_a_surrogate_pair_is_one_character():
    assert strictjson.loads(b'{"a": "\\ud83d\\ude00"}') == {"a": "😀"}
