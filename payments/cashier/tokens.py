"""What a token in a payer's link can look like: anything else is not there, and is never asked of the database."""

import re


class TokenConverter:
    """The token of an order (43 characters) or of a pay code (22), as URLs have it."""

    regex = "[A-Za-z0-9_-]{1,64}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


_TOKEN = re.compile(TokenConverter.regex)


def is_token(text: str) -> bool:
    return bool(_TOKEN.fullmatch(text))
