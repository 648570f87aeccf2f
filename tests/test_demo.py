"""The demo page, the SDK as the server serves it, and the door at which the page gets its tokens."""

import asyncio
import http.server
import re
import threading
import time

import pytest
from playwright.async_api import expect

from harness.browser import Watched, browsing
from harness.cluster import running
from harness.rest import Rest, error_of

pytestmark = pytest.mark.topologies("embedded", "two-gateways")


def pane(page, person):
    return page.locator(f"section[data-person={person}]")


def message(page, person, body):
    return pane(page, person).locator("li", has_text=body)


def demo_token(door, person):
    """Waits for its turn: the door is rate limited."""
    while (answer := door.post(f"/demo/tokens?Identity={person}")).status_code == 429:
        time.sleep(float(answer.headers["retry-after"]))
    assert answer.status_code == 201, answer.text
    return answer.json()


async def say(page, person, body):
    await pane(page, person).get_by_label("Message", exact=True).fill(body)
    await pane(page, person).get_by_role("button", name="Send").click()


async def test_two_pages_chat(cluster):
    async with browsing() as browser:
        # On two gateways each page is on another one.
        pages = [Watched(await browser.new_page()) for _ in range(2)]
        bases = [cluster.gateways[0], cluster.gateways[-1]]
        for watched, base in zip(pages, bases, strict=True):
            await watched.page.goto(f"{base}/demo")
            for person in ("alice", "bob"):
                await expect(pane(watched.page, person).locator(".state")).to_have_text("online")
        here, there = (watched.page for watched in pages)

        await say(here, "alice", "hello <b>bob</b>")
        for page in (here, there):
            for person in ("alice", "bob"):
                await expect(message(page, person, "hello <b>bob</b>")).to_have_count(1)
        await expect(message(here, "alice", "hello").locator(".mark")).to_have_text("✓✓ read")

        await pane(there, "bob").get_by_label("Message", exact=True).press_sequentially("typ")
        await expect(pane(here, "alice").locator(".typing")).to_have_text("bob is typing …")
        await say(there, "bob", "typed")
        await expect(message(here, "alice", "typed")).to_be_visible()
        await expect(pane(here, "alice").locator(".typing")).to_have_text("")

        # Offline and back: what was said waits, what was missed comes.
        await pane(here, "alice").get_by_role("button", name="Go offline").click()
        await expect(pane(here, "alice").locator(".state")).to_have_text("offline")
        await say(here, "alice", "from the tunnel")
        await expect(message(here, "alice", "from the tunnel").locator(".mark")).to_have_text("sending")
        await say(there, "bob", "missed")
        await expect(message(there, "alice", "missed")).to_be_visible()
        await expect(message(here, "alice", "missed")).to_have_count(0)
        await pane(here, "alice").get_by_role("button", name="Reconnect").click()
        await expect(message(here, "alice", "missed")).to_have_count(1)
        await expect(message(there, "bob", "from the tunnel")).to_have_count(1)
        await expect(message(here, "alice", "from the tunnel").locator(".mark")).to_have_text("✓✓ read")
        shown = [await pane(page, "bob").locator("li > span").all_inner_texts() for page in (here, there)]
        assert shown[0] == shown[1]

        for watched, base in zip(pages, bases, strict=True):
            assert not watched.wrong, watched.wrong
            assert not watched.went_elsewhere(base), "the page needs no other host"


async def test_the_page_shows_who_is_there(cluster):
    async with browsing() as browser:
        watched = Watched(await browser.new_page())
        page = watched.page
        await page.goto(f"{cluster.gateways[0]}/demo")
        for person, other in (("alice", "bob"), ("bob", "alice")):
            await expect(pane(page, person).locator(".presence")).to_have_text(f"{other} is here")
        await pane(page, "bob").get_by_role("button", name="Go offline").click()
        await expect(pane(page, "alice").locator(".presence")).to_have_text("bob is away", timeout=10_000)
        await pane(page, "bob").get_by_role("button", name="Reconnect").click()
        await expect(pane(page, "alice").locator(".presence")).to_have_text("bob is here")
        assert not watched.wrong, watched.wrong


@pytest.fixture
def app_origin():
    """Where a tenant's app comes from: not from the chat's server."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b'<!doctype html><title>An app</title><link rel="icon" href="data:,">')

        def log_message(self, *_):
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


async def test_the_served_sdk_works_as_a_script_and_as_a_module(chat, app_origin):
    app = """async ([Client, url, token, sid, transports]) => {
        const client = await Client.create(token, { url, transports });
        const channel = await client.getChannelBySid(sid);
        const index = await channel.sendMessage(`over ${client.transport}`);
        const bodies = (await channel.getMessages()).items.map((message) => message.body);
        await client.shutdown();
        return { index, bodies };
    }"""
    base = chat.cluster.gateways[-1]

    async def tries(browser, transports, used):
        channel = chat.channel(f"over {transports}", "alice", "bob")
        page = Watched(await (await browser.new_context()).new_page())
        await page.page.goto(app_origin)
        given = f"'{base}', '{chat.token('alice')}', '{channel.sid}', {transports}"
        # One address for both, in either order and out of the browser's cache too; and one that is always a script.
        for index, name in enumerate(["hubbub.js", "import", "hubbub.js", "import", "hubbub.global.js"]):
            client = f"import('{base}/sdk/hubbub.js').then((sdk) => sdk.Client)"
            if name != "import":
                await page.page.evaluate("delete globalThis.Hubbub")
                await page.page.add_script_tag(url=f"{base}/sdk/{name}")
                client = "Promise.resolve(Hubbub.Client)"
            said = await page.page.evaluate(f"{client}.then((Client) => ({app})([Client, {given}]))")
            assert said == {"index": index, "bodies": [f"over {used}"] * (index + 1)}
        assert not page.wrong, page.wrong

    ways = {"['websocket']": "websocket", "['polling']": "polling", "undefined": "websocket"}
    async with browsing() as browser:
        await asyncio.gather(*(tries(browser, transports, used) for transports, used in ways.items()))


def test_the_sdk_is_cached(cluster):
    for base in {cluster.api, *cluster.gateways}:
        door = Rest(base)
        first = door.get("/sdk/hubbub.js")
        assert first.status_code == 200 and first.headers["content-type"].startswith("text/javascript")
        assert re.fullmatch(r'"[0-9a-f]+-\w+"', first.headers["etag"]) and "public" in first.headers["cache-control"]
        again = door.http.get("/sdk/hubbub.js", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
        assert door.http.get("/sdk/hubbub.js", headers={"If-None-Match": '"other"'}).status_code == 200
        script = door.get("/sdk/hubbub.global.js")
        assert "\nexport " in first.text and "\nexport " not in script.text
        assert script.headers["etag"] != first.headers["etag"]
        door.close()


def test_the_demos_tokens_open_the_demo_and_nothing_else(cluster):
    account = Rest(cluster.api, (cluster.account_sid, cluster.auth_token))
    door = Rest(cluster.gateways[0])
    token = demo_token(door, "alice")
    assert set(token) == {"token", "identity", "service_sid", "channel", "date_expires"}
    assert [token["identity"], token["channel"]] == ["alice", "demo"]
    again = [demo_token(Rest(base), "bob") for base in cluster.gateways]
    assert {other["service_sid"] for other in again} == {token["service_sid"]}, "one service for all nodes"
    for query in ("?Identity=mallory", "?Identity=", ""):
        assert error_of(door.post(f"/demo/tokens{query}"), 400, 20001).startswith("Identity "), query

    alice = Rest(cluster.api, bearer=token["token"])
    own = f"/v2/Services/{token['service_sid']}"
    assert alice.get(f"{own}/Channels/demo").status_code == 200
    other = account.post("/v2/Services", form={"FriendlyName": "not the demo's"}).json()
    assert alice.get(f"/v2/Services/{other['sid']}/Channels").status_code == 404
    assert alice.get("/v2/Services").status_code in (401, 403)
    for path, form in [
        ("Channels", {"UniqueName": "mine"}),
        ("Channels/demo/Members", {"Identity": "mallory"}),
        ("Channels/demo", {"FriendlyName": "mine"}),
        ("Users", {"Identity": "mallory"}),
        ("AccessTokens", {"Identity": "mallory"}),
    ]:
        assert alice.post(f"{own}/{path}", form=form).status_code == 403, path
    for path in ("Channels/demo", "Channels/demo/Members/alice", "Channels/demo/Members/bob"):
        assert alice.delete(f"{own}/{path}").status_code == 403, path

    # A stranger's page in the browser of somebody who can reach the server gets nothing.
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        assert door.post("/demo/tokens?Identity=alice", **headers).status_code == 403, headers
    statuses = {door.post("/demo/tokens?Identity=alice").status_code for _ in range(60)}
    assert 429 in statuses and statuses <= {201, 429}, "the door is rate limited"


def test_a_demo_that_was_deleted_comes_back(cluster):
    account = Rest(cluster.api, (cluster.account_sid, cluster.auth_token))
    door = Rest(cluster.gateways[0])
    before = demo_token(door, "alice")
    assert account.delete(f"/v2/Services/{before['service_sid']}").status_code == 204
    after = demo_token(door, "alice")
    alice = Rest(cluster.api, bearer=after["token"])
    assert alice.get(f"/v2/Services/{after['service_sid']}/Channels/demo").status_code == 200


@pytest.mark.parametrize("topology", ["embedded", "cluster"])
def test_the_demo_can_be_switched_off_and_is_off_with_a_database(topology, tmp_path):
    setting = "false" if topology == "embedded" else ""
    with running(topology, tmp_path, HUBBUB_DEMO=setting) as own:
        door = Rest(own.api)
        for answer in (door.get("/demo"), door.get("/demo/page.js"), door.post("/demo/tokens?Identity=alice")):
            assert answer.status_code == 404 and answer.json()["code"] == 20404
        assert door.get("/sdk/hubbub.js").status_code == 200
