"""A balancer in front of several gateways that knows nothing of sessions: every request may go to another one."""

import asyncio
import re

from .raw import address_of

CONNECTION = re.compile(rb"\r\nconnection:[^\r]*", re.IGNORECASE)


class Balancer:
    """Each request goes to the next gateway, or all of them to `only`; a WebSocket stays where it was opened.

    `answers` has what was answered to plain requests: (gateway, request line, status, body).
    """

    def __init__(self, gateways):
        self.gateways = list(gateways)
        self.only = None
        self._next = 0
        self.answers = []
        self.websockets = []
        self._server = None
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = "http://127.0.0.1:%d" % self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def refusals(self):
        """The answers that were no success."""
        return [answer for answer in self.answers if answer[2] >= 400]

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            await self._pass(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            pass  # The balancer is closed. Raised on, asyncio would complain of it.
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _pass(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        gateway = self.only or self._choose()
        there, back = await asyncio.open_connection(*address_of(gateway))
        try:
            if b"upgrade: websocket" in head.lower():
                self.websockets.append(gateway)
                back.write(head)
                await self._both_ways((reader, back), (there, writer))
            else:
                # One request a connection, so that the next one may go elsewhere.
                back.write(CONNECTION.sub(b"", head).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                answer = await self._ask(reader, back, there, writer)
                status, body = int(answer[9:12] or 0), answer.partition(b"\r\n\r\n")[2].decode()
                self.answers.append((gateway, head.partition(b"\r\n")[0].decode(), status, body))
        finally:
            back.close()

    def _choose(self):
        self._next += 1
        return self.gateways[self._next % len(self.gateways)]

    async def _ask(self, reader, back, there, writer):
        """Passes the body on while the answer comes; a client that hangs up is passed on too."""
        upward = asyncio.create_task(self._copy(reader, back, None))
        answer = bytearray()
        downward = asyncio.create_task(self._copy(there, writer, answer))
        await asyncio.wait({upward, downward}, return_when=asyncio.FIRST_COMPLETED)
        for task in (upward, downward):
            task.cancel()
        await asyncio.gather(upward, downward, return_exceptions=True)
        return bytes(answer)

    async def _both_ways(self, *ways):
        tasks = [asyncio.create_task(self._copy(*way, None)) for way in ways]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @staticmethod
    async def _copy(source, sink, kept):
        while data := await source.read(65536):
            if kept is not None:
                kept += data
            sink.write(data)
            await sink.drain()
