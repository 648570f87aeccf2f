"""A proxy in front of the REST door: what the unmodified libraries send and get, as raw text."""

import dataclasses
import http.client
import http.server
import json
import threading
import urllib.parse

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclasses.dataclass
class Exchange:
    method: str
    url: str
    status: int
    body: str
    followed: bool = False


class Witness:
    """Keeps every exchange. With `follow` it also fetches, at once and with the same credentials, every URL of an
    answer that the server vouches for: `url`, `links` and those of the neighbouring pages."""

    def __init__(self, upstream, follow=True):
        self.exchanges = []
        self._upstream = urllib.parse.urlsplit(upstream)
        self._follow = follow
        self._lock = threading.Lock()
        witness = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass(self):
                witness._serve(self)

            do_GET = do_POST = do_PUT = do_DELETE = _pass

            def log_message(self, *_):
                """Quiet: the exchanges are kept, not printed."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, handler):
        content = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        answer, body = self._ask(handler.command, handler.path, handler.headers.items(), content)
        handler.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP:
                handler.send_header(name, value)
        if answer.status != 204:
            handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _ask(self, method, path, headers, content=b"", followed=False):
        headers = dict(headers)
        connection = http.client.HTTPConnection(self._upstream.hostname, self._upstream.port, timeout=20)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            if name.lower() not in HOP_BY_HOP and name.lower() != "accept-encoding":
                connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(content)))
        connection.endheaders(content)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        text = body.decode()
        with self._lock:
            self.exchanges.append(Exchange(method, self.url + path, answer.status, text, followed))
        if self._follow and not followed and answer.status < 300:
            credentials = {name: value for name, value in headers.items() if name.lower() in ("host", "authorization")}
            for link in links_of(text):
                assert link.startswith(self.url), f"{link} does not lead back to {self.url}"
                self._ask("GET", link.removeprefix(self.url), credentials.items(), followed=True)
        return answer, body


def links_of(body):
    """The URLs in an answer that lead to resources of the API (a tenant's own, such as a webhook's, are no links)."""
    if not body.startswith("{"):
        return []
    answer = json.loads(body)
    meta = answer.get("meta", {})
    items = answer[meta["key"]] if meta else [answer]
    named = [meta[name] for name in ("url", "first_page_url", "previous_page_url", "next_page_url") if name in meta]
    for item in items:
        named += [item.get("url"), *item.get("links", {}).values()]
    return [link for link in named if link]
