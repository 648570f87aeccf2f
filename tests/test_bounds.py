"""What the embedded default may cost in memory: idle, and with idle sockets. Times are for the benchmarks."""

import asyncio
import json
import resource

import aiohttp
import pytest

from harness.chat import Chat
from harness.cluster import running
from harness.waiting import eventually

SOCKETS = 1_000
MIB = 1_024 * 1_024


def resident(node):
    """Bytes of memory that the process holds."""
    for line in open(f"/proc/{node.process.pid}/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1_024
    raise AssertionError("no VmRSS")


@pytest.fixture
def many_files():
    """Room for a thousand sockets here and in the server, which inherits the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 16_384)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def connect(session, url, token):
    """A bare socket, ready and silent: no client library on our side of the measurement."""
    socket = await session.ws_connect(f"{url.replace('http', 'ws', 1)}/socket.io/?EIO=4&transport=websocket")
    await socket.receive(20)
    await socket.send_str("40" + json.dumps({"token": token}))
    assert (await socket.receive(20)).data.startswith("40{")
    assert (await socket.receive(20)).data.startswith('42["initialized"')


async def test_an_idle_server_is_small_and_a_thousand_sockets_add_little(tmp_path, driver, many_files):
    with running("embedded", tmp_path) as cluster:
        [node] = cluster.nodes
        chat = Chat(cluster, driver, "bounds")
        before = resident(node)
        assert before < 60 * MIB, before / MIB
        tokens = [chat.token(f"user {number}") for number in range(SOCKETS)]
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            for start in range(0, SOCKETS, 50):
                await asyncio.gather(*(connect(session, node.url, token) for token in tokens[start : start + 50]))
            await eventually(
                lambda: resident(node) - before < 32 * MIB,
                within=10,
                because=f"{SOCKETS} idle sockets add less than 32 MiB",
            )
            print(f"idle {before / MIB:.1f} MiB, {SOCKETS} sockets add {(resident(node) - before) / MIB:.1f} MiB")
        await chat.close()
