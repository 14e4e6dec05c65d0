"""A browser's half of a form: what a page holds in hidden fields comes back with the button."""

import re

HIDDEN = re.compile(r'<input type="hidden" name="(?!csrfmiddlewaretoken)([a-z_]+)" value="([^"]*)"')


def hidden_on(client, url):
    """The hidden fields of the page as it is now. Keep them to press a button of a page that has grown old."""
    return dict(HIDDEN.findall(client.get(url).content.decode()))


def press(client, url, deed, /, *, seen=None, **data):
    """The answer to a button: of the page as it is now, or of the page on which the fields `seen` stood."""
    fields = hidden_on(client, url) if seen is None else seen
    return client.post(url, {**fields, "deed": deed, **data})
