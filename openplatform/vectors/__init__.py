"""Published signature vectors: what a client in any language can be tested against, made by the code that verifies."""

from openplatform.vectors.document import VECTORS_FILE, document, rendered

__all__ = ["VECTORS_FILE", "document", "rendered"]
