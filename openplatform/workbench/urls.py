"""Addresses of the workbench, to be included under `workbench/`."""

from django.urls import path

from openplatform.workbench import views

urlpatterns = [
    path("", views.show, name="workbench"),
    path("explain", views.explain_pasted, name="workbench-explain"),
]
