"""Every sentence of the workbench, in English; the Chinese is in openplatform/locale."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Text = str | Promise

CHECKS: dict[str, Text] = {
    "address": _("Address"),
    "method": _("Method"),
    "target": _("Spelling of the address"),
    "length": _("Length"),
    "json": _("JSON"),
    "header": _("Authorization header"),
    "time": _("Timestamp"),
    "key": _("App and key"),
    "signature": _("Signature"),
}

WHY: dict[str, Text] = {
    "no_such_address": _("No operation of the API has this address."),
    "clock_ahead": _("The timestamp is %(seconds)s s ahead of our clock; at most 300 s are allowed."),
    "clock_behind": _("The timestamp is %(seconds)s s behind our clock; at most 300 s are allowed. Sign again."),
    "unknown_key": _("This app has no live key with this serial number here."),
    "other_scheme": _("The key is known, but the scheme name in the header is not one of its own."),
    "not_ascii": _("The target holds characters that are not ASCII."),
    "other_length": _("The signature has %(found)s bytes; one by this key has %(wanted)s."),
    "fits_another_string": _("The signature is good, but for another string: it is shown below."),
    "signed_with_pss": _("The string is right, but it was signed with RSASSA-PSS. Use PKCS #1 v1.5."),
    "signed_with_sha1": _("The string is right, but it was signed with SHA-1. Use SHA-256."),
    "fits_no_string": _(
        "The signature fits neither this string nor one that is often signed by mistake. Either the private key is not"
        " the one of this serial number, or something else was signed: paste your string and compare."
    ),
}

MISTAKES: dict[str, Text] = {
    "no_last_lf": _("The last line end is missing. Every line ends with LF, the empty body of a GET too."),
    "crlf": _("Lines end with CR LF or CR. They must end with LF alone."),
    "literal_n": _("The two characters \\ and n stand where a line end should be."),
    "one_lf_more": _("There is one line end too many."),
    "string_with_bom": _("A byte order mark stands before the string."),
    "no_query": _("The query was not signed. The target is path and query, as they stand on the request line."),
    "query_escaped": _("The target was escaped or unescaped. Sign it as it is sent."),
    "whole_url": _("The whole URL was signed. The target begins with the slash of the path."),
    "no_prefix": _("The beginning of the path was not signed."),
    "small_method": _("The method is in small letters."),
    "swapped": _("Timestamp and nonce stand in the wrong order."),
    "body_left_out": _("The body was not signed."),
    "body_of_nothing": _("{} was signed, and no body was sent."),
    "body_null": _("null was signed, and no body was sent."),
    "json_again": _("The JSON was written twice, once to sign it and once to send it. Sign the bytes that are sent."),
    "json_slashes": _("Slashes are escaped in one of the two bodies and not in the other."),
    "body_with_bom": _("A byte order mark stands before the body."),
    "body_without_bom": _("The body that is sent begins with a byte order mark that was not signed."),
    "body_line_ends": _("Line ends in the body were changed."),
    "body_trimmed": _("Spaces or line ends around the body were cut off before it was signed."),
    "body_ended": _("A line end after the body was signed that is not sent, or the line end of the string is double."),
    "body_in_gbk": _("The body was signed in GBK. It must be UTF-8."),
    "answer_string": _("The three-line string of an answer was signed. A request has five lines."),
    "ends_early": _("Your string ends here, and ours goes on."),
    "goes_on": _("Our string ends here, and yours goes on."),
    "other_value": _("The values differ here: compare what was signed with what was pasted above."),
}

LINES: tuple[Text, ...] = (_("the method"), _("the target"), _("the timestamp"), _("the nonce"), _("the body"))

VERDICTS: dict[str, tuple[Text, Text]] = {
    "good": (
        _("The signature is right"),
        _("Nothing else is wrong with this request. A nonce counts once, so sign again before you send it."),
    ),
    "refused": (
        _("The signature is right, but the request would be refused"),
        _("See the checks that failed."),
    ),
    "wrong": (_("The signature is wrong"), _("This is the string that we verify, and what we found.")),
    "unknown": (
        _("The signature could not be checked"),
        _("Name an app and a key that this platform knows; or paste your own string and compare."),
    ),
}

DIFFERENCE = _("First difference: byte %(offset)s, in line %(line)s (%(name)s)")
NO_DIFFERENCE = _("Your string is ours, byte for byte.")
NO_STRING = _("There is no string to compare with: target, timestamp and nonce are needed.")
SIGNED_INSTEAD = _("What your signature fits")
YOURS = _("Your string")
PRIVATE_KEY = _(
    "This looks like a PRIVATE key. Nothing here needs one, and it is not kept. Whoever has seen it can sign as you: if"
    " it is a real one, have it revoked and make a new pair."
)
NO_ANSWER = _("The server did not answer. Try again.")
LABELS: dict[str, Text] = {
    "ours": _("ours"),
    "theirs": _("yours"),
    "bytes": _("bytes"),
    "hidden": _("more bytes are not shown"),
    "end": _("end of the string"),
    "ok": _("passed"),
    "bad": _("did not pass"),
    "unknown": _("not checked"),
}
