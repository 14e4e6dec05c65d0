"""The open API under `/sandbox/`: what was signed for a test platform is signed for no other.

Only a test platform answers here (openplatform/api/checks.py); elsewhere these addresses are as good as not there.
"""

from django.urls import include, path

urlpatterns = [path("", include("openplatform.urls")), path("", include("payments.api.urls"))]
