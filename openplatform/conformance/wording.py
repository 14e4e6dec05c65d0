"""The words of cases, findings and advice, for the console and the terminal."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from openplatform.conformance.grading import Finding
from openplatform.models.notification import NotificationShape

Text = str | Promise

TITLES: dict[str, Text] = {
    "good": _("a good notification"),
    "duplicate": _("the same one twice"),
    "duplicates_at_once": _("the same one five times at once"),
    "reordered": _("an older version after a newer one"),
    "replayed_old": _("signed 400 seconds ago"),
    "from_the_future": _("signed 400 seconds in the future"),
    "one_bit": _("one bit of the signature changed"),
    "body_changed": _("the body changed after signing"),
    "other_key": _("signed by a stranger under our serial no."),
    "unknown_serial": _("signed by a stranger under a serial no. of his own"),
    "missing_headers": _("a header of the signature missing"),
    "sign_test": _("a signature that is visibly false"),
    "garbage_timestamp": _("a timestamp that is not a number, or far too large a one"),
    "garbage_signature": _("a signature that is not base64"),
    "garbage_serial": _("a serial no. that is very long, or no serial no. at all"),
    "repeated_header": _("a header of the signature twice, with different values"),
    "refund_event": _("a refund"),
    "tampered_ciphertext": _("genuine, but the encrypted part was changed before signing"),
    "other_associated_data": _("genuine, but encrypted with other associated data"),
    "other_apiv3_key": _("genuine, but encrypted under another app's APIv3 key"),
    "wrong_amount": _("genuine, but the order has another amount"),
    "wrong_app": _("genuine, but for another app"),
    "unknown_type": _("an event type that does not exist yet"),
    "unknown_fields": _("fields that do not exist yet"),
    "content_types": _("other spellings of the content type"),
    "lower_case_headers": _("names of headers in lower case"),
    "large": _("a body of 60 KB"),
    "slow": _("a body that takes two seconds to arrive"),
}
_VERIFY = _(
    "Verify the signature over the raw body with our public key before you read it, and answer 401 when it fails."
)
_LOOK_FIRST = _(
    "Look at a header before you take it apart: what is no number, no base64 or no key of ours is refused with 401."
)
_OPEN_FIRST = _(
    "Answer 4xx to what you cannot decrypt: whoever answers 2xx has never read it, and it does not come again."
)
_BY_CASE: dict[str, Text] = {
    "good": _(
        "Answer 2xx to what is genuine, also when `test` is true; the amount of a test order is the second part of its"
        " out_trade_no."
    ),
    "duplicate": _("Answer 2xx to an event_id that you know already: it means that we did not hear your first answer."),
    "duplicates_at_once": _("Let a unique constraint on event_id decide between requests at the same moment."),
    "reordered": _("Answer 2xx to an older object_version and keep the newer one."),
    "replayed_old": _("Refuse a timestamp that is more than 300 seconds from your clock: it may be a recording."),
    "from_the_future": _("Refuse a timestamp that is more than 300 seconds from your clock, also ahead of it."),
    "other_key": _("Verify with the public key that you have fetched from us, whatever the headers say."),
    "unknown_serial": _("Refuse a serial no. that is not one of our platform keys; never fetch a key from elsewhere."),
    "missing_headers": _("Refuse a notification that lacks any header of the signature."),
    "garbage_timestamp": _LOOK_FIRST,
    "garbage_signature": _LOOK_FIRST,
    "garbage_serial": _LOOK_FIRST,
    "repeated_header": _(
        "Refuse a header that is there twice: none of ours is, and who chooses one may choose wrongly."
    ),
    "refund_event": _("Answer 2xx to a refund as well: its amounts are amount.total and amount.refund."),
    "tampered_ciphertext": _OPEN_FIRST,
    "other_associated_data": _OPEN_FIRST,
    "other_apiv3_key": _OPEN_FIRST,
    "wrong_amount": _(
        "Compare amount_fen with your own order and answer 422 when they differ: whoever ships without comparing will"
        " be paid too little one day."
    ),
    "wrong_app": _("Compare app_id with your own and answer 4xx to another one."),
    "unknown_type": _("Answer 2xx to a type that you do not know and do nothing: new ones will come."),
    "unknown_fields": _("Ignore fields that you do not know: new ones will come."),
    "content_types": _("Read the body as JSON whatever the spelling of the content type is."),
    "lower_case_headers": _("Read headers whatever their case is: proxies change it."),
    "large": _("Accept bodies of up to 64 KiB."),
    "slow": _("Wait for the whole body for at least five seconds."),
}
# What is called otherwise in WeChat Pay's envelope.
_BY_CASE_ENVELOPED: dict[str, Text] = {
    "good": _(
        "Answer 2xx to what is genuine, also when its `id` begins with test_; the amount of a test order is the second"
        " part of its out_trade_no, and `appid` is empty until we have told you a payment."
    ),
    "duplicate": _("Answer 2xx to an `id` that you know already: it means that we did not hear your first answer."),
    "duplicates_at_once": _("Let a unique constraint on `id` decide between requests at the same moment."),
    "wrong_amount": _(
        "Compare amount.total with your own order and answer 422 when they differ: whoever ships without comparing will"
        " be paid too little one day."
    ),
    "wrong_app": _("Compare mchid with your own and answer 4xx to another one."),
}
_BY_FINDING: dict[Finding, Text] = {
    Finding.SLOW_ANSWER: _("Answer before you work: we wait for five seconds, and you took more than half of them."),
    Finding.REDIRECTED: _("Answer at the address itself: we follow no redirect."),
    Finding.SERVER_ERROR: _("Answer 4xx to what you refuse: 5xx says that you are in trouble."),
    Finding.GONE: _("Keep 410 for events that you want to hear no more of: it ends them. Refuse with 401 or 422."),
    Finding.NO_ANSWER: _("No answer came within five seconds."),
    Finding.NOT_JUDGED: _("It cannot be judged: the good notification was refused too."),
    Finding.NOT_REACHED: _("Not run: there was no answer to the good notification."),
    Finding.NO_TIME: _(
        "Not run: no time left, for the answers before took long. `manage.py conformance` takes as long as it needs."
    ),
    Finding.ADDRESS_REFUSED: _("Not run: since the run began, this address is not one that we call for this app."),
    Finding.BROKEN_OFF: _("Not run: the process that made the run was stopped. Run it again."),
}
_REFUSALS: dict[str, Text] = {
    "url_refused": _(
        "It is not an address that we call: https at port 443 or 8443, a public host, a path, and neither user"
        " information nor query nor fragment."
    ),
    "host_blocked": _("The host is on the blacklist."),
    "host_not_registered": _("The app is told at its registered hosts alone, and this is none of them."),
    "not_its_host": _(
        "Nothing says that this host is the app's own: register it as a notify host of the app, or let the app be told"
        " there first. Its last 1,000 notifications count, and the port too."
    ),
}


def title_of(case: str) -> Text:
    """Also for the results of a release that knew other cases."""
    return TITLES.get(case, case)


def refusal_text(word: str) -> Text:
    """Why an address is not attacked, for the `word` of an AddressRefused."""
    return _REFUSALS.get(word, word)


def advice_on(case: str, finding: str, *, shape: str = NotificationShape.NATIVE) -> Text:
    """One sentence; "" when all is as it should be."""
    if finding == Finding.AS_EXPECTED:
        return ""
    known = Finding(finding) if finding in Finding.__members__.values() else None
    general = _BY_FINDING.get(known) if known else None
    own = _BY_CASE_ENVELOPED if shape == NotificationShape.WECHATPAY else {}
    return general or own.get(case) or _BY_CASE.get(case, _VERIFY)
