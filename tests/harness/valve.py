"""Something in front of a service that can be shut, as a network or a broken machine would."""

import asyncio
import contextlib
import threading


class Valve:
    """Passes connections on to an address while it is open. It works in a thread of its own: whoever waits for a server
    behind it may block."""

    def __init__(self, upstream):
        self._upstream = upstream
        self._port = 0
        self._server = None
        self._passing = set()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self._port}"

    async def open(self):
        await self._there(self._open())
        return self

    async def shut(self):
        """Ends what is open, and lets nobody in."""
        await self._there(self._shut())

    async def remove(self):
        await self.shut()
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _there(self, work):
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def _open(self):
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _shut(self):
        self._server.close()
        for passing in list(self._passing):
            passing.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _pass(self, reader, writer):
        task = asyncio.current_task()
        self._passing.add(task)
        writers = [writer]
        try:
            onward_reader, onward_writer = await asyncio.open_connection(*self._upstream)
            writers.append(onward_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, onward_writer))
                group.create_task(self._pump(onward_reader, writer))
        except* (OSError, asyncio.CancelledError):
            pass  # One side is done, or the valve was shut: the other side learns it.
        finally:
            self._passing.discard(task)
            for open_writer in writers:
                open_writer.transport.abort()

    @staticmethod
    async def _pump(reader, writer):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError("one side is done")


@contextlib.asynccontextmanager
async def valve(upstream):
    made = await Valve(upstream).open()
    try:
        yield made
    finally:
        await made.remove()
