"""The workbench's door: a page, and the call behind it. Both are there on a test platform only."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe
from rest_framework.exceptions import ValidationError

from openplatform import strictjson
from openplatform.key_material import PrivateKeyPasted
from openplatform.pages import frame_context, private, switched
from openplatform.problems import BodyTooLarge, InvalidRequest, Problem, UnsupportedMedia, plain_answer, problem_of
from openplatform.workbench import asked, wording
from openplatform.workbench.examples import example
from openplatform.workbench.explain import explain
from openplatform.workbench.present import present

BODY_BYTES_MAX = 400_000  # two pasted texts of 64 KiB, in hex and quoted

View = Callable[[HttpRequest], HttpResponse]


def on_a_test_platform(view: View) -> View:
    """404 anywhere else, before anything is read: in production nobody is told why a signature is wrong."""

    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        if not settings.TEST_PLATFORM:
            raise Http404
        return private(view(request))

    return guarded


@on_a_test_platform
@require_safe
def show(request: HttpRequest) -> HttpResponse:
    if answer := switched(request):
        return answer
    context = {"forms": asked.FORMS, "config": _config()}
    return render(request, "workbench/workbench.html", context | frame_context(request))


@csrf_exempt  # it changes nothing, knows nobody, and JSON from another site does not get past the browser
@on_a_test_platform
@require_POST
def explain_pasted(request: HttpRequest) -> HttpResponse:
    try:
        pasted = asked.read(_document(request))
    except PrivateKeyPasted as error:
        return plain_answer(Problem(str(wording.PRIVATE_KEY), status=400, code=error.code))
    except (Problem, ValidationError) as error:
        return plain_answer(problem_of(error) or InvalidRequest())
    return JsonResponse(present(pasted, explain(pasted, now=timezone.now())))


def _document(request: HttpRequest) -> dict[str, Any]:
    if request.content_type != "application/json":
        raise UnsupportedMedia
    if int(request.META.get("CONTENT_LENGTH") or 0) > BODY_BYTES_MAX:
        raise BodyTooLarge
    try:
        return strictjson.loads(request.read(BODY_BYTES_MAX))
    except strictjson.JsonRefused as error:
        raise InvalidRequest(str(error)) from error


def _config() -> dict[str, Any]:
    """What the page's script is told."""
    return {
        "explain_url": reverse("workbench-explain"), "example": example(),
        "labels": {name: str(text) for name, text in wording.LABELS.items()},
        "private_key": str(wording.PRIVATE_KEY), "no_answer": str(wording.NO_ANSWER),
    }  # fmt: skip
