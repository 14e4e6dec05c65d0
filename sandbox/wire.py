"""What happens to the bytes on the wire, below HTTP's good manners. Needs gunicorn, which hands over the socket."""

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from sandbox import clock, runtime

DRIP_S = 1.0  # between two bytes
HANG_S = 86_400.0
_LOOK_S = 0.05
HUGE_BYTES = 100 * 1024 * 1024
_CHUNK = b" " * 65_536
_NGINX = "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"  # noqa: E501 - as nginx writes it


def pause(request: HttpRequest, *, seconds: float, even_without_client: bool = False) -> None:
    """Wait in business time; end early when the client has left (unless told otherwise) or the process must stop."""
    until = clock.now() + timedelta(seconds=seconds)
    while (left_s := (until - clock.now()).total_seconds()) > 0:
        if runtime.stopping.wait(min(_LOOK_S, left_s)):
            return
        if not even_without_client and _client_left(request):
            return


def play(trick: str, request: HttpRequest, response: HttpResponse) -> HttpResponseBase:
    """Do `trick` ("" for none) to `response` and return what to send instead."""
    return TRICKS[trick](request, response) if trick else response


def _reset(request: HttpRequest, response: HttpResponse) -> HttpResponseBase:  # noqa: ARG001 - one signature for all
    _send_reset(request.META["gunicorn.socket"])
    return StreamingHttpResponse(_broken_off(b""))


def _half_body(request: HttpRequest, response: HttpResponse) -> HttpResponseBase:  # noqa: ARG001
    body = response.content
    return _streamed(response, _broken_off(body[: len(body) // 2]))


def _drip(request: HttpRequest, response: HttpResponse) -> HttpResponseBase:  # noqa: ARG001
    return _streamed(response, _dripping(response.content))


def _hang(request: HttpRequest, response: HttpResponse) -> HttpResponseBase:  # noqa: ARG001
    pause(request, seconds=HANG_S)
    return StreamingHttpResponse(_broken_off(b""))


def _bad_json(request: HttpRequest, response: HttpResponse) -> HttpResponseBase:  # noqa: ARG001
    return response  # the body was spoiled before it was signed: the endpoints


def _gzip_garbage(request: HttpRequest, response: HttpResponse) -> HttpResponseBase:  # noqa: ARG001
    response["Content-Encoding"] = "gzip"
    return response


def _html_502(request: HttpRequest, response: HttpResponse) -> HttpResponseBase:  # noqa: ARG001
    return HttpResponse(_NGINX.format("502 Bad Gateway"), status=502, content_type="text/html")


def _html_503(request: HttpRequest, response: HttpResponse) -> HttpResponseBase:  # noqa: ARG001
    return HttpResponse(_NGINX.format("503 Service Temporarily Unavailable"), status=503, content_type="text/html")


def _huge_body(request: HttpRequest, response: HttpResponse) -> HttpResponseBase:  # noqa: ARG001
    huge = StreamingHttpResponse(_blanks(), status=200, headers=dict(response.headers))
    huge["Content-Length"] = str(HUGE_BYTES)
    return huge


def _redirect_loop(request: HttpRequest, response: HttpResponse) -> HttpResponseBase:  # noqa: ARG001
    """To the very address that was asked, which the rule hits again."""
    return HttpResponse(status=307, headers={"Location": request.build_absolute_uri()})


TRICKS: Mapping[str, Callable[[HttpRequest, HttpResponse], HttpResponseBase]] = {
    "reset": _reset,
    "half_body": _half_body,
    "drip": _drip,
    "hang": _hang,
    "bad_json": _bad_json,
    "gzip_garbage": _gzip_garbage,
    "html_502": _html_502,
    "html_503": _html_503,
    "huge_body": _huge_body,
    "redirect_loop": _redirect_loop,
}


def _streamed(response: HttpResponse, chunks: Iterator[bytes]) -> StreamingHttpResponse:
    streamed = StreamingHttpResponse(chunks, status=response.status_code, headers=dict(response.headers))
    streamed["Content-Length"] = str(len(response.content))  # of the whole: the promise that will be broken
    return streamed


def _broken_off(first: bytes) -> Iterator[bytes]:
    if first:
        yield first
    raise ConnectionResetError(errno.ECONNRESET, "the sandbox broke the connection off")  # gunicorn closes quietly


def _blanks() -> Iterator[bytes]:
    for _ in range(HUGE_BYTES // len(_CHUNK)):
        if runtime.stopping.is_set():
            return
        yield _CHUNK


def _dripping(body: bytes) -> Iterator[bytes]:
    for index in range(len(body)):
        yield body[index : index + 1]
        if runtime.stopping.wait(DRIP_S):
            return


def _send_reset(connection: socket.socket) -> None:
    """Let the kernel send RST at once: close the last descriptor with a linger of zero.

    Another socket takes the descriptor's place, so that the server's own closing finds something to close.
    """
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stand_in, other_end = socket.socketpair()
    with stand_in, other_end:
        os.dup2(stand_in.fileno(), connection.fileno(), inheritable=False)


def _client_left(request: HttpRequest) -> bool:
    connection: socket.socket = request.META["gunicorn.socket"]
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
