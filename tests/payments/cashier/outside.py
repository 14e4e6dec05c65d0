"""A little outside world: says who the payer is, each code once, and stands in for the payer's phone."""

import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode, urlsplit


class OutsideWorld(ThreadingHTTPServer):
    """`codes` maps each code that is still good to an openid; `asked` lists the codes that were asked for.

    `outcome` is how the payer leaves the phone; `phoned` lists what the phone was given.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.codes: dict[str, str] = {}
        self.asked: list[str] = []
        self.outcome = "ok"
        self.phoned: list[dict[str, str]] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    @property
    def base(self) -> str:
        return f"http://{self.host}"


class _Handler(BaseHTTPRequestHandler):
    server: OutsideWorld

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        match parts.path:
            case "/connect/oauth2/authorize":
                code = secrets.token_hex(8)
                self.server.codes[code] = "o-payer-1"
                self._redirect(query["redirect_uri"], code=code, state=query["state"])
            case "/sns/oauth2/access_token":
                self.server.asked.append(query.get("code", ""))
                openid = self.server.codes.pop(query.get("code", ""), None)
                self._json({"openid": openid} if openid else {"errcode": 40163, "errmsg": "code been used"})
            case _:
                self.server.phoned.append(query)
                time.sleep(0.2)  # the payer looks at the sheet
                self._redirect(query["redirect"], pay=self.server.outcome)

    def _redirect(self, url: str, **more: str) -> None:
        self.send_response(302)
        self.send_header("Location", f"{url}?{urlencode(more)}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _json(self, fields: dict[str, object]) -> None:
        body = json.dumps(fields).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Nothing on stderr."""


@contextmanager
def outside_world() -> Iterator[OutsideWorld]:
    with OutsideWorld() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
