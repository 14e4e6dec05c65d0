"""The door of the gateway: all methods under one address."""

from django.http import HttpRequest, HttpResponseBase

from sandbox.alipay import bills, gateway, oauth, refunds, trades

METHODS = {**trades.METHODS, **refunds.METHODS, **bills.METHODS, **oauth.METHODS}


def serve(request: HttpRequest) -> HttpResponseBase:
    return gateway.serve(request, METHODS)
