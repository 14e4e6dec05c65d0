"""Every operation of the open API says which scope it needs; one that says nothing would be closed to all."""

import ast
from collections.abc import Iterator

from django.urls import URLPattern, URLResolver, get_resolver
from tree import PACKAGES, modules

from openplatform.api import OpenApiView
from openplatform.scopes import ANY_KEY, Scope

VERBS = ("get", "post", "put", "patch", "delete")


def views(patterns: list) -> Iterator[type]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from views(pattern.url_patterns)
        elif isinstance(pattern, URLPattern) and hasattr(pattern.callback, "view_class"):
            yield pattern.callback.view_class


def open_views() -> set[type[OpenApiView]]:
    return {view for view in views(get_resolver("config.urls").url_patterns) if issubclass(view, OpenApiView)}


def test_every_operation_names_its_scope():
    assert len(open_views()) > 10
    unsaid = [
        f"{view.__name__}.{verb}"
        for view in open_views()
        for verb in VERBS
        if hasattr(view, verb) and view.scopes.get(verb.upper()) not in {*Scope.values, ANY_KEY}
    ]
    assert unsaid == []


def test_no_operation_names_a_scope_for_a_method_that_it_does_not_have():
    left_over = [
        f"{view.__name__}.{method}"
        for view in open_views()
        for method in view.scopes
        if not hasattr(view, method.lower())
    ]
    assert left_over == []


def test_only_what_every_caller_may_know_is_open_to_any_key():
    assert {view.__name__ for view in open_views() if ANY_KEY in view.scopes.values()} == {
        "PlatformKeysView", "CertificatesView",
    }  # fmt: skip


def test_nothing_but_the_demo_registers_a_key_without_a_proof():
    """AppKey.register is for whoever made the pair itself; a door that called it would take anybody's word."""
    found = [
        name
        for name, tree in modules(*PACKAGES)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "AppKey.register"
    ]
    assert found == ["payments/operations/demo.py"]
