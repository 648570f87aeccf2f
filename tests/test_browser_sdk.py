"""The served SDK in a real browser, as a script and as a module: two users of a page chat, their tokens are renewed,
and the network goes away under them and comes back."""

import asyncio
import itertools
import urllib.parse

import pytest

from harness.browser import browsing
from harness.valve import valve
from harness.waiting import eventually

pytestmark = pytest.mark.topologies("embedded", "two-gateways")

WAYS = ["hubbub.js", "hubbub.global.js", "import"]
TRANSPORTS = [["websocket"], ["polling"], None]

# Makes `app`, with what each of them hears, as [name of the event, what it is about].
APP = """async ([Client, url, sid, transports]) => {
    const first = await mint("alice", 4);
    const app = (globalThis.app = { first, heard: { alice: [], bob: [] }, asked: { alice: 0, bob: 0 } });
    for (const [who, token] of [["alice", first], ["bob", await mint("bob", 600)]]) {
        const tokenProvider = () => {
            app.asked[who] += 1;
            return mint(who, 600);
        };
        const options = { url, delay: 50, maxDelay: 200, tokenProvider, ...(transports ? { transports } : {}) };
        const client = (app[who] = await Client.create(token, options));
        const channel = (app[`${who}Channel`] = await client.getChannelBySid(sid));
        const hear = (name, about) => channel.on(name, (value) => app.heard[who].push([name, about(value)]));
        for (const name of ["messageAdded", "messageRemoved"]) hear(name, (message) => message.body);
        hear("messageUpdated", ({ message }) => message.body);
        for (const name of ["typingStarted", "typingEnded", "memberJoined"]) hear(name, (member) => member.identity);
        hear("memberUpdated", ({ member }) => [member.identity, member.lastConsumedMessageIndex]);
        client.on("connectionStateChanged", (state) => app.heard[who].push(["state", state]));
    }
    return app.alice.transport;
}"""

TALK = """async () => {
    const { alice, aliceChannel, bobChannel, heard } = app;
    const told = (who, name) => heard[who].filter(([kind]) => kind === name).map(([, about]) => about);
    const until = async (what) => {
        for (const end = Date.now() + 10000; !what(); await new Promise((resolve) => setTimeout(resolve, 10)))
            if (Date.now() > end) throw new Error(`not: ${what} ${JSON.stringify(heard)}`);
    };
    await aliceChannel.typing();
    await until(() => told("bob", "typingStarted").length);
    await aliceChannel.sendMessage("one");
    await until(() => told("bob", "typingEnded").length && told("bob", "messageAdded").includes("one"));
    const [message] = (await aliceChannel.getMessages()).items;
    await message.updateBody("uno");
    await until(() => told("bob", "messageUpdated").includes("uno"));
    await bobChannel.setAllMessagesConsumed();
    await until(() => told("alice", "memberUpdated").some(([who, index]) => who === "bob" && index === message.index));
    await message.remove();
    await until(() => told("bob", "messageRemoved").length);
    await until(() => app.asked.alice === 1 && alice.token !== app.first && alice.connectionState === "connected");
}"""

# Said without a network, and not waited for.
SAY_OFFLINE = """() => {
    app.sent = ["a", "b", "c"].map((body) => app.aliceChannel.sendMessage(`${body} in the tunnel`));
    return app.aliceChannel.pendingMessages.map(({ body, state }) => [body, state]);
}"""


async def load(page, way, base):
    """An expression that gives the Client, whatever way it came."""
    if way == "import":
        return f"import('{base}/sdk/hubbub.js').then((sdk) => sdk.Client)"
    await page.add_script_tag(url=f"{base}/sdk/{way}")
    return "Promise.resolve(Hubbub.Client)"


@pytest.mark.parametrize("transports", TRANSPORTS, ids=["websocket", "polling", "default"])
async def test_two_users_chat_in_a_browser_and_survive_a_lost_network(chat, transports):
    base = chat.cluster.gateways[-1]
    address = urllib.parse.urlsplit(base)
    async with valve((address.hostname, address.port)) as network, browsing() as browser:
        pages = []
        for number, way in enumerate(WAYS):
            channel = chat.channel(f"way {number}", "alice", "bob")
            page = await browser.new_page()
            await page.expose_function("mint", lambda who, ttl: chat.token(who, ttl=ttl))
            # The script comes from another origin, as a tenant's app would have it.
            await page.goto(f"http://{network.address}/healthz")
            client = await load(page, way, base)
            given = f"'http://{network.address}', '{channel.sid}', {transports or 'undefined'}"
            used = await page.evaluate(f"{client}.then((Client) => ({APP})([Client, {given}]))")
            assert used == (transports or ["websocket"])[0]
            pages.append((page, channel.sid))
        await asyncio.gather(*(page.evaluate(TALK) for page, _ in pages))

        await network.shut()
        for page, sid in pages:
            await page.wait_for_function(
                "app.alice.connectionState === 'connecting' && app.bob.connectionState === 'connecting'"
            )
            pending = await page.evaluate(SAY_OFFLINE)
            assert pending == [[f"{letter} in the tunnel", "sending"] for letter in "abc"]
            chat.service.channels(sid).messages.create(body="missed", from_="bob")
        await network.open()
        for page, _ in pages:
            assert await page.evaluate("Promise.all(app.sent)") == [2, 3, 4]
            expected = ["one", "missed", *(f"{letter} in the tunnel" for letter in "abc")]
            for who in ("alice", "bob"):
                told = f"app.heard.{who}.filter(([kind]) => kind === 'messageAdded').map(([, body]) => body)"
                await eventually(
                    lambda page=page, told=told, bodies=expected: has(page, told, bodies),
                    because=f"{who} has heard all",
                )
            assert await page.evaluate("app.asked") == {"alice": 1, "bob": 0}, "good tokens are kept"
            await page.evaluate("Promise.all([app.alice.shutdown(), app.bob.shutdown()])")
            said = await page.evaluate("app.heard.alice.filter(([kind]) => kind === 'state').map(([, state]) => state)")
            states = [state for state, _ in itertools.groupby(said)]
            assert states == ["connecting", "connected", "connecting", "connected", "disconnecting", "disconnected"]


async def has(page, told, expected):
    heard = await page.evaluate(told)
    assert len(heard) <= len(expected), heard
    return sorted(heard) == sorted(expected)
