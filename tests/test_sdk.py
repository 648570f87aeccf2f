"""The JavaScript SDK: its own suites (`sdk/test`), in Node, against running servers."""

import asyncio
import contextlib
import http.server
import os
import subprocess
import threading

import pytest

from harness.cluster import running
from harness.node import ROOT

SDK = ROOT / "sdk"
# Suites that need no server, those that need any, and those that are tried where one process does everything and where
# two gateways share it.
ALONE = ["emitter", "types"]
ANYWHERE = ["leaks", "readme"]
EVERYWHERE = ["offline", "presence", "talking", "tokens"]


def node_flags():
    """Node before 22 keeps its own WebSocket, which the client without a library uses, behind a flag."""
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    early = int(version.lstrip("v").split(".")[0]) < 22
    return ["--expose-gc", *(["--experimental-websocket"] if early else [])]


async def passes(suite, within=60, **environment):
    assert (SDK / "node_modules").exists(), "npm ci --prefix sdk installs what the SDK's suites need"
    process = await asyncio.create_subprocess_exec(
        "node",
        *node_flags(),
        "--test-reporter=spec",
        "--test",
        f"test/{suite}.test.mjs",
        cwd=SDK,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), within)
    except TimeoutError:
        process.kill()
        raise AssertionError(f"{suite} did not end within {within} s") from None
    assert process.returncode == 0, said.decode(errors="replace")


def where(cluster):
    return {
        "HUBBUB_API": cluster.api,
        "HUBBUB_GATEWAYS": ",".join(cluster.gateways),
        "HUBBUB_ACCOUNT_SID": cluster.account_sid,
        "HUBBUB_AUTH_TOKEN": cluster.auth_token,
    }


@contextlib.contextmanager
def remote_control(cluster):
    """An address at which a suite kills the cluster and starts it again."""
    actions = {"/kill": cluster.kill, "/start": cluster.restart}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            actions[self.path]()
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


async def all_pass(suites, **environment):
    """Side by side, since they wait more than they work. What failed is told of each."""
    ends = await asyncio.gather(*(passes(suite, **environment) for suite in suites), return_exceptions=True)
    wrong = [f"--- {suite}\n{end}" for suite, end in zip(suites, ends, strict=True) if end is not None]
    assert not wrong, "\n".join(wrong)


@pytest.mark.topologies("embedded")
async def test_sdk_anywhere(cluster):
    await all_pass(ALONE + ANYWHERE, **where(cluster))


@pytest.mark.topologies("embedded", "two-gateways")
async def test_sdk(cluster):
    await all_pass(EVERYWHERE, **where(cluster))


async def test_sdk_over_a_crash(tmp_path):
    async def crash(topology):
        with running(topology, tmp_path) as cluster, remote_control(cluster) as control:
            await passes("crash", HUBBUB_CONTROL=control, **where(cluster))

    await asyncio.gather(crash("embedded"), crash("two-gateways"))
