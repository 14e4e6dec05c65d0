"""Somebody at the console: an auditor, an operator, the developer's superuser, and somebody with no role."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, User
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

PASSWORD = "correct-horse-battery"


@pytest.fixture
def as_role(db: None) -> Callable[[str], Client]:
    """`as_role("operator")`: a browser that is logged in as one; "root" is a superuser, "nobody" has no role."""

    def as_role(role: str) -> Client:
        user = User.objects.create_user(role, password=PASSWORD, is_staff=True, is_superuser=role == "root")
        user.groups.set(Group.objects.filter(name=role))
        client = Client(headers={"accept-language": "en"})
        client.force_login(user)
        return client

    return as_role


@pytest.fixture
def auditor(as_role: Callable[[str], Client]) -> Client:
    return as_role("auditor")


@pytest.fixture
def operator(as_role: Callable[[str], Client]) -> Client:
    return as_role("operator")


@pytest.fixture
def root(as_role: Callable[[str], Client]) -> Client:
    return as_role("root")


def list_url(name: str, query: str = "") -> str:
    return reverse(f"admin:{name}_changelist") + (f"?{query}" if query else "")


def page_url(row: object) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def shown(response: HttpResponse) -> str:
    assert response.status_code == 200, response.status_code
    return response.content.decode()
