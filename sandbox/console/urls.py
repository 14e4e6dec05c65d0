"""The addresses of the control page, beside those of the control API."""

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import path

from sandbox import pages
from sandbox.console import orders, setup
from sandbox.console.access import HOME, login, logout, view


def home(request: HttpRequest) -> HttpResponseBase:  # noqa: ARG001 - a view
    return HttpResponseRedirect(HOME)


urlpatterns = [
    path("_sandbox/", home),
    path("_sandbox/login", login),
    path("_sandbox/console.css", pages.asset, {"name": "console.css"}),
    path("_sandbox/ui/logout", view(post=logout)),
    path("_sandbox/ui/orders", view(get=orders.listing)),
    path("_sandbox/ui/orders/<int:order>", view(get=orders.show)),
    path("_sandbox/ui/orders/<int:order>/<str:name>", view(post=orders.act)),
    path("_sandbox/ui/refunds/<int:refund>/<str:status>", view(post=orders.settle)),
    path("_sandbox/ui/notifications", view(get=orders.notifications)),
    path("_sandbox/ui/notifications/<int:notification>/resend", view(post=orders.resend)),
    path("_sandbox/ui/calls", view(get=setup.calls)),
    path("_sandbox/ui/calls/<int:call>", view(get=setup.call)),
    path("_sandbox/ui/faults", view(get=setup.show_faults, post=setup.add_fault)),
    path("_sandbox/ui/faults/clear", view(post=setup.clear_faults)),
    path("_sandbox/ui/faults/<int:rule>/remove", view(post=setup.remove_fault)),
    path("_sandbox/ui/clock", view(get=setup.show_clock, post=setup.advance)),
    path("_sandbox/ui/keys", view(get=setup.show_keys, post=setup.rotate)),
    path("_sandbox/ui/settings", view(get=setup.show_settings, post=setup.set_options)),
    path("_sandbox/ui/reset", view(post=setup.reset)),
]
