"""A request to begin with: one of the published vectors, with the mistake that is made most."""

from openplatform.vectors.build import APP_ID, NONCE, TIMESTAMP
from openplatform.vectors.document import POST


def example() -> dict[str, str]:
    """Fields of the form. Its app is nobody's here, so the strings are compared and no signature is checked."""
    own = POST.message().replace(b"\n", b"\r\n")
    return {
        "method": POST.method, "target": POST.target, "body": POST.body.decode(), "app_id": APP_ID,
        "serial_no": "TEST_MERCHANT_KEY_1", "timestamp": TIMESTAMP, "nonce": NONCE, "own": own.hex(), "own_form": "hex",
    }  # fmt: skip
