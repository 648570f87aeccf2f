"""A tenant's webhook endpoint: keeps every request with its raw body, and answers as told."""

import base64
import contextlib
import dataclasses
import hashlib
import hmac
import http.server
import json
import threading
import time
import urllib.parse

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook, WebhookVerificationError
from twilio.request_validator import RequestValidator

from .waiting import eventually

CLOSE = "close the connection"


@dataclasses.dataclass
class Request:
    method: str
    url: str
    headers: dict
    body: bytes
    at: float

    @property
    def is_json(self):
        return self.headers.get("content-type", "").startswith("application/json")

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def params(self):
        """Twilio's parameters; a JSON body has none."""
        if self.is_json:
            return {}
        raw = urllib.parse.urlsplit(self.url).query if self.method == "GET" else self.body.decode()
        return dict(urllib.parse.parse_qsl(raw, keep_blank_values=True, strict_parsing=True))

    def __getitem__(self, name):
        return self.params[name]

    def is_signed_for_twilio(self, auth_token):
        params = {} if self.method == "GET" else self.body.decode() if self.is_json else self.params
        return RequestValidator(auth_token).validate(self.url, params, self.headers["x-twilio-signature"])

    def is_signed_with(self, webhook_secret):
        """Standard Webhooks, symmetric: any one of the listed signatures has to fit."""
        key = base64.b64decode(webhook_secret.removeprefix("whsec_"))
        raw = urllib.parse.urlsplit(self.url).query.encode() if self.method == "GET" else self.body
        signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + raw
        expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return expected in self.headers["webhook-signature"].split(" ")

    def passes_standard_webhooks(self, webhook_secret):
        """What the reference library says of a POST."""
        try:
            Webhook(webhook_secret).verify(self.body, self.headers, json_parse=False)
        except WebhookVerificationError:
            return False
        return True

    def is_signed_by(self, public_key):
        """Standard Webhooks, ed25519: any one of the listed signatures has to fit."""
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_")))
        signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + self.body
        for version, signature in (listed.split(",") for listed in self.headers["webhook-signature"].split(" ")):
            if version == "v1a":
                with contextlib.suppress(InvalidSignature):
                    key.verify(base64.b64decode(signature), signed)
                    return True
        return False


class Receiver:
    def __init__(self):
        self.requests = []
        self._answers = []
        self._lock = threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                receiver._take(self)

            def do_GET(self):
                receiver._take(self)

            def log_message(self, *_):
                """Quiet: the requests are kept, not printed."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.base = f"http://127.0.0.1:{self._server.server_port}"
        self.url = f"{self.base}/hook"

    def answers(self, *statuses):
        """What the next requests get, in turn: a status or CLOSE. Afterwards every one gets 200."""
        with self._lock:
            self._answers = list(statuses)

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def _take(self, handler):
        length = int(handler.headers.get("content-length") or 0)
        request = Request(
            method=handler.command,
            url=self.base + handler.path,
            headers={name.lower(): value for name, value in handler.headers.items()},
            body=handler.rfile.read(length),
            at=time.time(),
        )
        with self._lock:
            self.requests.append(request)
            answer = self._answers.pop(0) if self._answers else 200
        if answer == CLOSE:
            handler.close_connection = True
            return
        handler.send_response(answer)
        handler.send_header("content-length", "0")
        handler.end_headers()

    # --- what arrived

    def of(self, event_type, **params):
        """Requests about one kind of event, in the order of arrival."""
        return [
            request
            for request in list(self.requests)
            if request.params.get("EventType") == event_type
            and all(request.params.get(name) == value for name, value in params.items())
        ]

    def told(self, kind, at=""):
        """JSON events of one kind, such as `messageAdded`, whose path ends so, in the order of arrival."""
        return [
            request
            for request in list(self.requests)
            if request.is_json and request.json["type"] == kind and urllib.parse.urlsplit(request.url).path.endswith(at)
        ]

    async def gets(self, event_type, count=1, within=10, **params):
        """At least so many such requests, once they are here."""
        return await eventually(
            lambda: (found := self.of(event_type, **params)) and len(found) >= count and found,
            within,
            f"{count} × {event_type} {params} arrive; here: {[r.params.get('EventType') for r in self.requests]}",
        )
