"""Why a key is refused, in the operator's language; the merchant's integrator gets the English text of the error."""

from django import forms
from django.utils.translation import gettext_lazy as _

from openplatform.key_material import KeyRefused

_REFUSALS = {
    "KEY_IS_PRIVATE": _(
        "This is a PRIVATE key. Whoever has seen it can sign as the merchant: have it revoked now, and register only"
        " the public key of a new pair."
    ),
    "KEY_NOT_A_PUBLIC_KEY": _("This is not a public key in PEM form (-----BEGIN PUBLIC KEY-----)."),
    "KEY_ALGORITHM_UNKNOWN": _("Keys that sign are RSA or Ed25519; keys that decrypt are RSA."),
    "KEY_LENGTH": _("An RSA key must have 2048 to 4096 bits, a multiple of 8."),
    "KEY_EXPONENT": _("An RSA key must have the public exponent 65537."),
    "KEY_WEAK": _("This Ed25519 key proves nothing: anybody can sign under it. The merchant must make a new pair."),
    "KEY_ALREADY_REGISTERED": _("This public key was registered before; a key belongs to one app for ever."),
    "KEY_TOO_MANY": _("The app has as many live keys as an app may have; revoke one first."),
    "KEY_SCOPES": _("A key that signs needs at least one scope; a key that decrypts has none."),
    "KEY_STATE": _("The key is not in a state that allows this any more; nothing was done."),
    "KEY_LIFETIME": _("The date must lie ahead."),
    "KEY_CHALLENGE_OVER": _("The challenge has expired or was used. Make a new one."),
    "KEY_PROOF": _(
        "This does not prove that the merchant holds the private half. Was the whole challenge signed, and with the"
        " private key of this pair?"
    ),
}


def refusal(error: KeyRefused) -> forms.ValidationError:
    return forms.ValidationError(_REFUSALS.get(error.code, str(error)), code=error.code)
