"""Alipay's OpenAPI gateway, its OAuth, its notifications and bills, as the protocol notes describe them."""
