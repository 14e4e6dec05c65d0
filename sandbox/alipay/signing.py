"""Whose signature it is: Alipay's side of the identity, and which of its keys signs now."""

from sandbox import chance, environment, identity, options
from sandbox.alipay.material import AlipayKey, AlipaySide


def side() -> AlipaySide:
    return identity.load(environment.current().directory).alipay


def answer_key(*, in_cert_mode: bool) -> AlipayKey:
    """The key of an answer or a notification; in certificate mode for a share the next certificate's."""
    ours = side()
    if not in_cert_mode:
        return ours.plain_key
    rotated = chance.hits("alipay_next", percent=options.get("alipay_next_percent"))
    return ours.next_key if rotated else ours.cert_key
