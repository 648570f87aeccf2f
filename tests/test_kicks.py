"""Who may not stay is put out everywhere, within a second."""

import asyncio
import time

import pytest

from harness.chat import Chat
from harness.cluster import Tenant

pytestmark = pytest.mark.topologies("two-gateways")

WITHIN = 1.0


async def everywhere(chat, identity, token=None):
    """A socket on each gateway, one of them polling."""
    first, second = chat.cluster.gateways
    token = token or chat.token(identity)
    return [
        await chat.person(identity, "js-websocket", token=token, gateway=first),
        await chat.person(identity, "python-polling", token=token, gateway=second),
    ]


async def all_end(people, act):
    """Within a second after `act` was answered."""
    await asyncio.to_thread(act)
    began = time.monotonic()
    endings = await asyncio.gather(*(person.is_disconnected(within=WITHIN) for person in people))
    assert endings[0] == "io server disconnect", endings
    return time.monotonic() - began


@pytest.fixture
async def bystanders(chat):
    return await everywhere(chat, "bystander")


async def test_a_deleted_user_is_out(chat, bystanders):
    people = await everywhere(chat, "alice")
    await all_end(people, lambda: chat.service.users("alice").delete())
    for bystander in bystanders:
        assert await bystander.asks("getUser")


async def test_the_tokens_of_a_deleted_key_are_out(chat, bystanders):
    key = chat.client.new_keys.create(friendly_name="stolen")
    people = await everywhere(chat, "alice", token=chat.token("alice", key_sid=key.sid, secret=key.secret))
    await all_end(people, lambda: chat.client.keys(key.sid).delete())
    for bystander in bystanders:
        assert await bystander.asks("getUser")


async def test_the_users_of_a_deleted_service_are_out(chat, bystanders):
    service = chat.client.chat.v2.services.create(friendly_name="short-lived")
    people = await everywhere(chat, "alice", token=chat.token("alice", service_sid=service.sid))
    await all_end(people, service.delete)
    for bystander in bystanders:
        assert await bystander.asks("getUser")


async def test_the_users_of_a_suspended_account_are_out(chat, bystanders, driver):
    made = chat.client.api.v2010.accounts.create(friendly_name="late with the rent")
    branch = Chat(Tenant(chat.cluster, made), driver, "branch")
    people = await everywhere(branch, "alice")
    await all_end(people, lambda: chat.client.api.accounts(made.sid).update(status="suspended"))
    for bystander in bystanders:
        assert await bystander.asks("getUser")
    await branch.close()


async def test_who_is_removed_from_a_channel_hears_and_says_nothing_more_in_it(chat):
    chat.channel("general", "alice", "bob")
    people = await everywhere(chat, "alice")
    bob = await chat.person("bob")
    await asyncio.to_thread(lambda: chat.service.channels("general").members("alice").delete())
    for person in people:
        await person.receives("channelLeft", within=WITHIN)
        await person.is_refused("sendMessage", channel="general", body="once more", code=50400)
        assert person.ended is None, "elsewhere it is still welcome"
    await bob.sends("general", "behind her back")
    await bob.asks("typing", channel="general")
    for person in people:
        assert await person.asks("getUser")
        assert person.all_heard("messageAdded", body="behind her back") == []
