"""Who gets in at the gateway, who does not and why, and what bad packets do to others: nothing."""

import asyncio
import base64
import hashlib
import hmac
import json
import time

import aiohttp
import httpx
import pytest

from harness.clients import CLIENTS
from harness.person import ConnectionRefused

JS_AND_PYTHON = ("js-websocket", "python-websocket")


def signed(claims, secret, alg="HS256", **header):
    """A token put together by hand, for what no library mints."""

    def part(data):
        return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()

    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}.get(alg, hashlib.sha256)
    head = f"{part({'typ': 'JWT', 'alg': alg, 'cty': 'twilio-fpa;v=1', **header})}.{part(claims)}"
    signature = base64.urlsafe_b64encode(hmac.new(secret.encode(), head.encode(), digest).digest())
    return f"{head}.{'' if alg == 'none' else signature.rstrip(b'=').decode()}"


def claims_of(chat, identity="alice", ttl=600, **changes):
    now = int(time.time())
    claims = {
        "jti": f"{chat.key.sid}-{now}",
        "iss": chat.key.sid,
        "sub": chat.cluster.account_sid,
        "exp": now + ttl,
        "grants": {"identity": identity, "chat": {"service_sid": chat.sid}},
    }
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_token_minted_by_the_library_opens_the_door(chat, client):
    alice = await chat.person("alice", client)
    hello = alice.initialized
    assert set(hello) >= {"connection_id", "service_sid", "user", "cursor", "server_time"}
    assert hello["service_sid"] == chat.sid
    assert hello["user"]["identity"] == "alice"
    assert hello["user"]["role_sid"] == chat.service.default_service_role_sid
    assert chat.service.users("alice").fetch().sid == hello["user"]["sid"], "login makes the user"
    if client.endswith("polling"):
        assert await alice.transport() == "polling"
    if client.endswith("websocket"):
        assert await alice.transport() == "websocket"


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
async def test_the_allowed_algorithms_and_the_old_grant_name_are_accepted(chat, alg):
    grants = {"identity": "alice", "ip_messaging": {"service_sid": chat.sid}}
    alice = await chat.person("alice", token=signed(claims_of(chat, grants=grants), chat.key.secret, alg))
    assert alice.initialized["user"]["identity"] == "alice"


def bad_tokens(chat):
    """What is wrong → (the token, the code it is refused with)."""
    now, secret = int(time.time()), chat.key.secret
    other_service = {"identity": "alice", "chat": {"service_sid": "IS" + "0" * 32}}
    return {
        "none at all": (None, 20101),
        "no token": ("rubbish", 20101),
        "unknown key": (chat.token("alice", key_sid="SK" + "0" * 32), 20103),
        "wrong account": (chat.token("alice", account_sid="AC" + "0" * 32), 20103),
        "expired": (signed(claims_of(chat, exp=now - 60), secret), 20104),
        "no exp": (signed(claims_of(chat, exp=None), secret), 20104),
        "not yet valid": (signed(claims_of(chat, nbf=now + 300), secret), 20105),
        "no chat grant": (chat.token("alice", grant=False), 20106),
        "no identity": (signed(claims_of(chat, grants={"chat": {"service_sid": chat.sid}}), secret), 20106),
        "no service": (signed(claims_of(chat, grants={"identity": "alice", "chat": {}}), secret), 20106),
        "no such service": (signed(claims_of(chat, grants=other_service), secret), 20106),
        "wrong signature": (chat.token("alice", secret="x" * 32), 20107),
        "no signature": (signed(claims_of(chat), secret, "none"), 20107),
        "forbidden algorithm": (signed(claims_of(chat), secret, "RS256"), 20107),
        "too long a life": (signed(claims_of(chat, ttl=86_400 + 3_600), secret), 20157),
    }


@pytest.mark.parametrize("client", JS_AND_PYTHON)
async def test_bad_tokens_are_refused_with_their_codes(chat, client):
    answered = {}
    for wrong, (token, _) in bad_tokens(chat).items():
        with pytest.raises(ConnectionRefused) as refusal:
            await chat.stranger(token, client)
        assert refusal.value.data["status"] == 401, wrong
        assert refusal.value.data["message"] and refusal.value.message
        answered[wrong] = refusal.value.data["code"]
    assert answered == {wrong: code for wrong, (_, code) in bad_tokens(chat).items()}


async def test_a_token_of_a_deleted_key_is_refused(chat):
    key = chat.client.new_keys.create(friendly_name="short-lived")
    token = chat.token("alice", key_sid=key.sid, secret=key.secret)
    alice = await chat.person("alice", token=token)
    assert chat.client.keys(key.sid).delete() is True
    assert await alice.is_disconnected(within=6) == "io server disconnect", "its sockets end"
    with pytest.raises(ConnectionRefused) as refusal:
        await chat.stranger(token)
    assert refusal.value.data["code"] == 20103


async def test_deleting_the_user_ends_its_sockets(chat):
    alice = await chat.person("alice")
    bob = await chat.person("bob")
    chat.service.users("alice").delete()
    assert await alice.is_disconnected(within=6) == "io server disconnect"
    assert bob.ended is None


async def test_a_short_token_warns_before_it_ends_and_then_ends_the_socket(chat):
    alice = await chat.person("alice", token=chat.token("alice", ttl=4))
    await alice.receives("tokenAboutToExpire", within=6)
    await alice.receives("tokenExpired", within=6)
    assert await alice.is_disconnected() == "io server disconnect"


def gateway_url(chat, **query):
    return f"{chat.cluster.gateways[0]}/socket.io/?" + "&".join(f"{name}={value}" for name, value in query.items())


async def test_engine_handshakes_are_checked(chat):
    async with httpx.AsyncClient() as http:
        wrong = {
            0: await http.get(gateway_url(chat, EIO=4, transport="pigeon")),
            1: await http.get(gateway_url(chat, EIO=4, transport="polling", sid="nobody")),
            2: await http.post(gateway_url(chat, EIO=4, transport="polling"), content="40"),
            3: await http.get(gateway_url(chat, EIO=4, transport="websocket")),
            5: await http.get(gateway_url(chat, EIO=3, transport="polling")),
        }
        assert {code: (answer.status_code, answer.json()["code"]) for code, answer in wrong.items()} == {
            code: (400, code) for code in wrong
        }
        opened = await http.get(gateway_url(chat, EIO=4, transport="polling"))
    assert opened.text.startswith("0")
    assert set(json.loads(opened.text[1:])) == {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}


MALFORMED = ["nonsense", "9", "4", "4abc", "47", "42{}", "42[]", '42["sendMessage"', "451-", "40[1]", "4" + "[" * 5_000]


async def test_malformed_packets_close_their_own_socket_only(chat):
    alice = await chat.person("alice")
    bob = await chat.person("bob", "js-polling")
    channel = chat.channel("general", "alice", "bob")
    url = gateway_url(chat, EIO=4, transport="websocket").replace("http", "ws", 1)
    async with aiohttp.ClientSession() as session:
        for packet in MALFORMED:
            async with session.ws_connect(url) as socket:
                assert (await socket.receive(10)).data.startswith("0{")
                await socket.send_str("40" + json.dumps({"token": chat.token("mallory")}))
                assert (await socket.receive(10)).data.startswith("40{")
                assert (await socket.receive(10)).data.startswith('42["initialized"')
                await socket.send_str(packet)
                await asyncio.wait_for(closed(socket), 10)
    await alice.sends(channel.sid, "still here")
    await bob.receives("messageAdded", body="still here")


async def closed(socket):
    """Reads until the server has closed, and returns the close code."""
    async for _ in socket:
        pass
    return socket.close_code


async def test_a_frame_over_the_limit_closes_with_1009(chat):
    alice = await chat.person("alice")
    url = gateway_url(chat, EIO=4, transport="websocket").replace("http", "ws", 1)
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        assert (await socket.receive(10)).data.startswith("0{")
        await socket.send_str("4" + "x" * 1_000_001)
        assert await asyncio.wait_for(closed(socket), 10) == 1009
    assert await alice.asks("getChannels")


async def test_a_socket_without_a_connect_packet_hears_nothing_and_may_do_nothing(chat):
    alice = await chat.person("alice")
    channel = chat.channel("general", "alice")
    url = gateway_url(chat, EIO=4, transport="websocket").replace("http", "ws", 1)
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        assert (await socket.receive(10)).data.startswith("0{")
        await socket.send_str(f'421["sendMessage",{json.dumps({"channel": channel.sid, "body": "forged"})}]')
        await asyncio.wait_for(closed(socket), 10)
    assert chat.messages_of(channel.sid) == []
    assert alice.ended is None
