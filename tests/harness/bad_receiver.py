"""A webhook receiver that misbehaves below HTTP, in a way of its own for each event."""

import contextlib
import re
import socket
import struct
import threading
import time
import urllib.parse

PATIENCE = 30


def _hangs(connection, ended):
    ended.wait(PATIENCE)


def _resets(connection, ended):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _says_nonsense(connection, ended):
    connection.sendall(b"HELLO THERE\r\n\r\n")


def _breaks_off(connection, ended):
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nfirst bytes")


def _trickles(connection, ended):
    """A body that never ends, a byte at a time: no single read takes long, all of it together does."""
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    while not ended.wait(0.2):
        connection.sendall(b".")


def _answers(status, *headers):
    def answer(connection, ended):
        lines = [f"HTTP/1.1 {status} Whatever", "content-length: 4", "connection: close", *headers, "", "text"]
        connection.sendall("\r\n".join(lines).encode())

    return answer


# What a receiver does at an attempt; the order is that of the events that come to it.
KINDS = {
    "hangs": _hangs,
    "resets": _resets,
    "nonsense": _says_nonsense,
    "breaks off": _breaks_off,
    "trickles": _trickles,
    "301": _answers(301, "location: http://127.0.0.1:9/elsewhere"),
    "404": _answers(404),
    "410": _answers(410),
    "429": _answers(429, "retry-after: 1"),
    "500": _answers(500),
    "503": _answers(503),
    "504": _answers(504),
    "204": _answers(204),
    "200": _answers(200),
}


class BadReceiver:
    """Does with each first attempt what the event's `Body` names (a name in KINDS), and with later ones what `later`
    says. Keeps (body, webhook-id, when) of every attempt."""

    def __init__(self, later="200"):
        self.later = later
        self.attempts = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}/hook"
        threading.Thread(target=self._accept, daemon=True).start()

    def of(self, body):
        with self._lock:
            return [attempt for attempt in self.attempts if attempt[0] == body]

    def close(self):
        self._ended.set()
        self._server.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError):
            head, body = self._read(connection)
            if not head:
                return
            said = dict(urllib.parse.parse_qsl(body.decode())).get("Body", "")
            webhook_id = re.search(r"(?im)^webhook-id: *(\S+)", head)[1]
            with self._lock:
                first = all(known != said for known, *_ in self.attempts)
                self.attempts.append((said, webhook_id, time.time()))
            kind = said.split("/")[0].strip() if first else self.later
            KINDS.get(kind, KINDS["200"])(connection, self._ended)

    @staticmethod
    def _read(connection):
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := connection.recv(65_536)):
                return "", b""
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        head = head.decode()
        length = int(re.search(r"(?im)^content-length: *(\d+)", head)[1])
        while len(body) < length:
            body += connection.recv(65_536)
        return head, body
