"""Connections that never get to the point are ended."""

import asyncio

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
    """Until the server hangs up."""

    async def read_on():
        try:
            while await reader.read(4096):
                pass
        except ConnectionError:
            pass

    await asyncio.wait_for(read_on(), within)


@pytest.mark.parametrize("unfinished", UNFINISHED)
async def test_a_request_that_does_not_end_is_ended(chat, unfinished):
    reader, writer = await dial(chat.cluster.gateways[0])
    writer.write(UNFINISHED[unfinished])
    trickle = asyncio.create_task(trickles(writer))
    await ended(reader, within=20)
    trickle.cancel()
    writer.close()


async def trickles(writer):
    """A byte now and then, so that the connection never looks idle."""
    while True:
        await asyncio.sleep(1)
        writer.write(b"x")
