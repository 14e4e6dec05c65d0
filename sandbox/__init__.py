"""The outside world for development and tests: wire-true stand-ins for WeChat Pay and Alipay, the payer's
phone, a model of UnionPay, a demo merchant.

It is a product of its own: own processes, own storage, and no code shared with the applications it serves, so that two
independent readings of one protocol check each other. Everything it hands out is marked SANDBOX; no money moves.
"""
