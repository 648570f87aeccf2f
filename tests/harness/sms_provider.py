"""An SMS provider with an API of the shape of Twilio's Messages.json: it checks who calls, keeps what it takes, lists it,
reports what becomes of it with signed callbacks, and fails in every way that matters."""

import base64
import dataclasses
import datetime
import email.utils
import http.server
import json
import secrets
import threading
import time
import urllib.parse

import httpx
from twilio.request_validator import RequestValidator

# What can happen to a call, by number or to whoever is next.
REFUSED = "it is refused as no phone number"
FAILS = "500"
UNAVAILABLE = "503"
GATEWAY_TIMEOUT = "504, and taken"
TOO_MANY = "429, ask again in a second"
SILENCE = "taken, and no answer"
BREAKS = "taken, and the connection breaks"


@dataclasses.dataclass
class Sms:
    sid: str
    to: str
    sender: str
    body: str
    callback: str | None
    at: float

    def shown(self):
        moment = datetime.datetime.fromtimestamp(self.at, datetime.UTC)
        return {
            "sid": self.sid,
            "to": self.to,
            "from": self.sender,
            "body": self.body,
            "status": "queued",
            "error_code": None,
            "error_message": None,
            "date_created": email.utils.format_datetime(moment),
            "date_sent": None,
        }


class SmsProvider:
    def __init__(self):
        self.account_sid, self.auth_token = f"AC{secrets.token_hex(16)}", secrets.token_hex(16)
        self.taken = []
        self.calls = []
        self.lists = 0
        self.slowness = 0
        self.most_at_once = 0
        self.is_forgetful = False
        self._at_once = 0
        self._fates = {}
        self._over = threading.Event()
        self._lock = threading.Lock()
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                provider._post(self)

            def do_GET(self):
                provider._list(self)

            def log_message(self, *_):
                """Quiet."""

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                """A client that was killed is no error of ours."""

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.path = f"/2010-04-01/Accounts/{self.account_sid}/Messages.json"
        self.url = f"http://127.0.0.1:{self._server.server_port}{self.path}"

    @property
    def settings(self):
        return {
            "Url": self.url,
            "AccountSid": self.account_sid,
            "AuthToken": self.auth_token,
            "From": "+15017122661",
        }

    def close(self):
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def does(self, number, *fates):
        """What the next calls about this number get, in turn; afterwards it is taken."""
        self._fates[number] = list(fates)

    def numbers(self):
        """Whom an SMS was taken for, as often as it was."""
        return [sms.to for sms in list(self.taken)]

    def of(self, number):
        return next(sms for sms in list(self.taken) if sms.to == number)

    def reports(self, sms, status, error_code=None, token=None, is_signed=True):
        """Calls back, as Twilio does; answers with what the platform said."""
        form = {"MessageSid": sms.sid, "MessageStatus": status, "To": sms.to, "AccountSid": self.account_sid}
        if error_code:
            form["ErrorCode"] = str(error_code)
        headers = {}
        if is_signed:
            signer = RequestValidator(token or self.auth_token)
            headers["X-Twilio-Signature"] = signer.compute_signature(sms.callback, form)
        return httpx.post(sms.callback, data=form, headers=headers, timeout=10)

    # --- the server's side

    def _let_in(self, handler):
        pair = base64.b64encode(f"{self.account_sid}:{self.auth_token}".encode()).decode()
        if handler.headers.get("authorization") == f"Basic {pair}":
            return True
        self._answer(handler, 401, {"code": 20003, "message": "Authenticate", "status": 401})
        return False

    def _post(self, handler):
        length = int(handler.headers.get("content-length") or 0)
        form = dict(urllib.parse.parse_qsl(handler.rfile.read(length).decode(), keep_blank_values=True))
        if not self._let_in(handler):
            return
        with self._lock:
            self.calls.append(form["To"])
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            fates = self._fates.get(form["To"])
            fate = fates.pop(0) if fates else None
        if self.slowness:
            time.sleep(self.slowness)
        try:
            self._decide(handler, form, fate)
        finally:
            with self._lock:
                self._at_once -= 1

    def _decide(self, handler, form, fate):
        refusals = {
            REFUSED: (400, {"code": 21211, "message": f"The 'To' number {form['To']} is not a valid phone number."}),
            FAILS: (500, {"code": 20500, "message": "An internal server error has occurred"}),
            UNAVAILABLE: (503, {}),
            TOO_MANY: (429, {"code": 20429, "message": "Too Many Requests"}),
        }
        if fate in refusals:
            status, body = refusals[fate]
            self._answer(handler, status, body, **({"retry-after": "1"} if fate == TOO_MANY else {}))
            return
        sms = Sms(
            sid=f"SM{secrets.token_hex(16)}",
            to=form["To"],
            sender=form["From"],
            body=form["Body"],
            callback=form.get("StatusCallback"),
            at=time.time(),
        )
        with self._lock:
            self.taken.append(sms)
        if fate == SILENCE:
            self._over.wait(30)
            handler.close_connection = True
        elif fate == BREAKS:
            handler.close_connection = True
        elif fate == GATEWAY_TIMEOUT:
            self._answer(handler, 504, {})
        else:
            self._answer(handler, 201, sms.shown())

    def _list(self, handler):
        if not self._let_in(handler):
            return
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(handler.path).query))
        with self._lock:
            self.lists += 1
            found = [
                sms.shown()
                for sms in reversed(self.taken)
                if sms.to == query.get("To", sms.to)
                and sms.sender == query.get("From", sms.sender)
                and "DateSent>" not in query
                and not self.is_forgetful
            ]
        self._answer(handler, 200, {"messages": found[: int(query.get("PageSize", 50))], "page": 0})

    def _answer(self, handler, status, body, **headers):
        raw = json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(raw)))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(raw)
