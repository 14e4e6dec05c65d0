"""The one way in which the console changes anything: a question on its own page, and a POST that answers it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from payments.errors import PaymentsError


@dataclass(frozen=True, kw_only=True)
class Question:
    title: str
    text: str
    button: str
    answer: str  # what the button stands for: a row that changed meanwhile asks another question
    is_dangerous: bool = False
    note_label: str = ""  # asks for a line of text, posted as `note`


def confirm(
    model_admin: Any,
    request: HttpRequest,
    object_id: str,
    *,
    question: Callable[[Any], Question],
    act: Callable[[Any], str],
) -> HttpResponse:
    """Ask `question` about the row, or do `act` when it was answered; `act` returns what to tell the operator.

    Who did it and when is kept in the console's log. A named refusal of `act` is shown and changes nothing. The caller
    has checked the permission.
    """
    row = model_admin.get_object(request, unquote(object_id))
    if row is None:
        raise Http404(_("There is no such row."))
    page = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    asked = question(row)
    if request.method == "POST":
        if request.POST.get("answer") == asked.answer:
            _do(model_admin, request, row, act=act)
        else:
            messages.warning(request, _("It was changed meanwhile; nothing was done."))
        return redirect(page, row.pk)
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": row._meta, "original": row, "question": asked, "title": asked.title,
    }  # fmt: skip
    return TemplateResponse(request, "console/confirm.html", context)


def _do(model_admin: Any, request: HttpRequest, row: Any, *, act: Callable[[Any], str]) -> None:
    try:
        done = act(row)
    except PaymentsError as refusal:
        messages.error(request, _(str(refusal)))
    else:
        model_admin.log_change(request, row, done)
        messages.success(request, done)
