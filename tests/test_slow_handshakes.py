"""Connections that never get to the point are ended."""

import asyncio
import base64
import json

import httpx
import pytest

from harness.raw import dial

pytestmark = pytest.mark.topologies("embedded")

UNFINISHED = {
    "half a head": b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    "half a WebSocket handshake": (
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\n"
    ),
    "half a line": b"GE",
}


async def ended(reader, within):
    """Until the server hangs up; what it said."""

    heard = bytearray()

    async def read_on():
        try:
            while some := await reader.read(4096):
                heard.extend(some)
        except ConnectionError:
            pass

    await asyncio.wait_for(read_on(), within)
    return heard.decode()


async def test_a_request_that_does_not_end_is_ended(chat):
    credentials = base64.b64encode(f"{chat.cluster.account_sid}:{chat.cluster.auth_token}".encode()).decode()
    body = (
        f"POST {chat.path}/Channels HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {credentials}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000000\r\n\r\nUniqueName="
    ).encode()
    opened = httpx.get(f"{chat.cluster.gateways[0]}/socket.io/?EIO=4&transport=polling").text
    sid = json.loads(opened[1:])["sid"]
    post = (
        f"POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: localhost\r\n"
        "Content-Length: 1000000\r\n\r\n4"
    ).encode()
    cases = {**UNFINISHED, "half a body": body, "half a polling body": post}

    async def given_up(what):
        reader, writer = await dial(chat.cluster.gateways[0])
        writer.write(cases[what])
        trickle = asyncio.create_task(trickles(writer))
        try:
            return await ended(reader, within=45)
        except TimeoutError:
            raise AssertionError(f"{what} may go on for ever") from None
        finally:
            trickle.cancel()
            writer.close()

    answers = dict(zip(cases, await asyncio.gather(*map(given_up, cases)), strict=True))
    assert "within 20 s" in answers["half a body"], "who sends it by the byte is told"


async def trickles(writer):
    """A byte now and then, so that the connection never looks idle."""
    while True:
        await asyncio.sleep(1)
        writer.write(b"x")
