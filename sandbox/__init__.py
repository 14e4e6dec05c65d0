"""The outside world for development and tests: a wire-true WeChat Pay v3 stand-in, the payer's phone, a demo merchant.

It is a product of its own: own processes, own storage, and no code shared with the applications it serves, so that two
independent readings of one protocol check each other. Everything it hands out is marked SANDBOX; no money moves.
"""
