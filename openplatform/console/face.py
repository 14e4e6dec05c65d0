"""An app's WeChat Pay interface: opened and closed here, and its APIv3 key, which is shown once and never again."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from openplatform.key_material import Algorithm
from openplatform.key_states import AppKeyStatus
from openplatform.keys import live_platform_keys
from openplatform.models import App
from openplatform.models.app import FaceChanged


def page(model_admin: Any, request: HttpRequest, object_id: str) -> HttpResponse:
    """What a merchant's engineer must be told, and the buttons. The caller has checked the permission.

    A new APIv3 key is in the answer to the POST that made it and nowhere else: no redirect, no session, no log.
    """
    app = model_admin.get_object(request, unquote(object_id))
    if app is None:
        raise Http404(_("There is no such row."))
    api_key = _act(model_admin, request, app) if request.method == "POST" else ""
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": App._meta, "original": app, "title": _("WeChat Pay interface of %(app)s") % {"app": app.name},
        "api_key": api_key, "base_url": settings.PUBLIC_BASE_URL,
        "app_keys": app.keys.exclude(status=AppKeyStatus.REVOKED).order_by("created_at"),
        "platform_keys": [
            key for key in live_platform_keys(now=timezone.now()) if key.algorithm == Algorithm.RSA_SHA256
        ],
    }  # fmt: skip
    return TemplateResponse(request, "openplatform/wechatpay_face.html", context)


def _act(model_admin: Any, request: HttpRequest, app: App) -> str:
    """Do what the button says, if the page that showed it is still right. Returns a new APIv3 key, or ""."""
    deed = request.POST.get("deed", "")
    try:
        api_key = _change(deed, app_id=app.pk, mark=request.POST.get("mark", ""))
    except FaceChanged:
        app.refresh_from_db()
        messages.warning(request, _("It was changed meanwhile; nothing was done."))
        return ""
    app.refresh_from_db()
    model_admin.log_change(request, app, f"WeChat Pay interface: {deed}")
    return api_key


def _change(deed: str, *, app_id: int, mark: str) -> str:
    """Under the lock, so that of two clicks at once the second one changes nothing. Raises FaceChanged."""
    with App.lock_face(app_id, mark=mark) as app:
        match deed, app.accepts_wechatpay_scheme:
            case ("close", True):
                app.close_wechatpay_face()
                return ""
            case ("replace", True):
                return app.replace_apiv3_key()
            case ("open", False):
                return app.open_wechatpay_face()
        raise FaceChanged
