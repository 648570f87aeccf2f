"""A socket by hand: for clients that no library would be, who do not read, do not finish, or say far too much."""

import asyncio
import json
import socket
import struct
import urllib.parse

TEXT, CLOSE = 0x81, 0x88


def address_of(url):
    parts = urllib.parse.urlsplit(url)
    return parts.hostname, parts.port


async def dial(url, receive_buffer=None):
    """A bare connection: (reader, writer)."""
    plain = socket.socket()
    if receive_buffer:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, address_of(url))
    return await asyncio.open_connection(sock=plain, limit=4096)


class Closed(Exception):
    """The server ended the connection; `code` is that of its close frame, or None."""

    def __init__(self, code=None):
        super().__init__(f"closed with {code}")
        self.code = code


class RawSocket:
    """A WebSocket that reads only when it is told to."""

    def __init__(self, reader, writer):
        self._reader = reader
        self._writer = writer
        self.initialized = None

    @classmethod
    async def open(cls, url, receive_buffer=None):
        """With the open packet read."""
        reader, writer = await dial(url, receive_buffer)
        writer.write(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: aHViYnViLWJlbmNoLi4uLg==\r\n\r\n"
        )
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        assert head.startswith(b"HTTP/1.1 101 "), head
        made = cls(reader, writer)
        assert (await made.reads()).startswith("0{")
        return made

    @classmethod
    async def joined(cls, url, token, cursor=None, receive_buffer=None):
        """Let in, with `initialized` read."""
        made = await cls.open(url, receive_buffer)
        await made.says("40" + json.dumps({"token": token, **({"cursor": cursor} if cursor else {})}))
        assert (await made.reads()).startswith("40{")
        event, made.initialized = json.loads((await made.reads())[2:])
        assert event == "initialized"
        return made

    async def says(self, text):
        payload = text.encode()
        self._writer.write(self._head(len(payload)) + payload)
        await self._writer.drain()

    async def begins(self, text, announced):
        """The beginning of a message that is announced to be longer."""
        self._writer.write(self._head(announced) + text.encode())
        await self._writer.drain()

    @staticmethod
    def _head(length):
        # The mask is zero, which leaves the payload as it is.
        if length < 126:
            return struct.pack("!BB4x", TEXT, 0x80 | length)
        if length < 0x10000:
            return struct.pack("!BBH4x", TEXT, 0xFE, length)
        return struct.pack("!BBQ4x", TEXT, 0xFF, length)

    async def reads(self, within=20):
        """The next text; raises Closed."""
        return await asyncio.wait_for(self._read(), within)

    async def _read(self):
        try:
            kind, length = await self._reader.readexactly(2)
            if length == 126:
                (length,) = struct.unpack("!H", await self._reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", await self._reader.readexactly(8))
            payload = await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise Closed from None
        if kind == CLOSE:
            raise Closed(struct.unpack("!H", payload[:2])[0] if payload else None)
        assert kind == TEXT, kind
        return payload.decode()

    async def is_closed(self, within=20):
        """Reads until the server has closed; the code it said, if any."""

        async def read_on():
            while True:
                await self._read()

        try:
            await asyncio.wait_for(read_on(), within)
        except Closed as closed:
            return closed.code

    def leaves(self):
        """Hangs up at once."""
        self._writer.transport.abort()
