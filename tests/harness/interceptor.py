"""A tenant's pre-event webhook: keeps every request, and answers as told, at once or later. It works in a thread of its
own: whoever waits for its answer may block."""

import asyncio
import json
import threading
import time

from .receiver import Request
from .waiting import eventually

ALLOW = (200, None, b"")
CLOSE = "close the connection"
HOLD = "hold until released"


def amend(**fields):
    """Allows it with these changes."""
    return 200, "application/json", json.dumps(fields).encode()


def reject(message=None, status=403):
    body = {} if message is None else {"message": message}
    return status, "application/json", json.dumps(body).encode()


class Interceptor:
    """What is to be answered is `rule(request)`: ALLOW, CLOSE, HOLD, what `amend` and `reject` make, or any
    (status, content type, body)."""

    def __init__(self):
        self.requests = []
        self.rule = lambda request: ALLOW
        self.waiting = 0
        self._loop = asyncio.new_event_loop()
        self._released = None
        self._server = None
        self._serving = set()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._there(self._start())
        self.base = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self.url = f"{self.base}/before"

    def answers(self, *answers):
        """What the next requests get, in turn. Afterwards every one is allowed."""
        left = list(answers)
        self.rule = lambda request: left.pop(0) if left else ALLOW

    def always(self, answer):
        self.rule = lambda request: answer

    def release(self):
        """Lets go of all that is held, with ALLOW."""
        self._there(self._release())

    def close(self):
        self._there(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _there(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _start(self):
        self._released = asyncio.Event()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=4096)

    async def _release(self):
        self._released.set()
        self._released = asyncio.Event()

    async def _stop(self):
        self._server.close()
        for serving in list(self._serving):
            serving.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self._serving.add(task)
        try:
            while request := await self._read(reader):
                self.requests.append(request)
                answer = self.rule(request)
                if answer == CLOSE:
                    break
                if answer == HOLD:
                    self.waiting += 1
                    await self._released.wait()
                    self.waiting -= 1
                    answer = ALLOW
                status, kind, body = answer
                head = f"HTTP/1.1 {status} As told\r\ncontent-length: {len(body)}\r\n"
                if kind:
                    head += f"content-type: {kind}\r\n"
                writer.write(head.encode() + b"\r\n" + body)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # The caller has given up, or the hook is closed.
        finally:
            self._serving.discard(task)
            writer.transport.abort()

    async def _read(self, reader):
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Request(method=method, url=self.base + path, headers=headers, body=body, at=time.time())

    # --- what arrived

    def of(self, event_type, **params):
        """Requests about one kind of event, in the order of arrival."""
        return [
            request
            for request in list(self.requests)
            if is_form(request)
            and request.params.get("EventType") == event_type
            and all(request.params.get(name) == value for name, value in params.items())
        ]

    async def gets(self, event_type, count=1, within=10, **params):
        """At least so many such requests, once they are here."""
        return await eventually(
            lambda: (found := self.of(event_type, **params)) and len(found) >= count and found,
            within,
            f"{count} × {event_type} {params} arrive; here: {len(self.requests)}",
        )


def is_form(request):
    return request.method == "GET" or "form" in request.headers.get("content-type", "")
