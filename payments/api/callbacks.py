"""The channels' door: they tell us about payments and refunds."""

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from payments.operations import callbacks

BODY_BYTES_MAX = 65_536


@csrf_exempt
@require_POST
def receive(request: HttpRequest, channel: str, account_id: int) -> HttpResponse:
    """Verify over the raw bytes, apply once, and answer in the channel's words."""
    length = request.headers.get("Content-Length", "")
    if not length.isdecimal() or int(length) > BODY_BYTES_MAX:
        return HttpResponse(status=413 if length.isdecimal() else 411)
    answer = callbacks.receive_callback(
        channel=channel, account_id=account_id, headers=request.headers, body=request.body, now=timezone.now()
    )
    if answer is None:
        return HttpResponse(status=404)
    status, body = answer
    kind = "application/json" if body.startswith(b"{") else "text/plain; charset=utf-8"  # some want a bare word
    return HttpResponse(body, status=status, content_type=kind)
