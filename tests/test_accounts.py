"""Accounts and their sub-accounts, API keys with a scope or an end, and the rotation of auth tokens."""

import asyncio
import concurrent.futures
import datetime
import secrets

import pytest
from twilio.base.exceptions import TwilioRestException

from harness.chat import Chat, twilio_client
from harness.cluster import Tenant, running
from harness.node import Node
from harness.person import ConnectionRefused
from harness.rest import Rest, error_of
from harness.waiting import eventually

# Ends are told at once; a gateway that missed it finds out by itself within this.
EVERYWHERE = 8
LEGACY = "/2010-04-01/Accounts"


@pytest.fixture
def tenant(cluster, client):
    """A sub-account of the cluster's account."""
    return Tenant(cluster, client.api.v2010.accounts.create(friendly_name="a sub-account"))


@pytest.fixture
async def branch(tenant, driver):
    """A service of the sub-account."""
    made = Chat(tenant, driver, "branch")
    yield made
    await made.close()


def door(cluster, user=None, password=None):
    return Rest(cluster.api, (user or cluster.account_sid, password or cluster.auth_token))


def fails(status, code):
    return pytest.raises(TwilioRestException, check=lambda error: (error.status, error.code) == (status, code))


def make_key(chat, **form):
    """A key as plain HTTP makes it, with what the library does not know."""
    answer = chat.rest.post(f"{LEGACY}/{chat.cluster.account_sid}/Keys.json", form)
    assert answer.status_code == 201, answer.text
    return answer.json()


def key_path(chat, key):
    return f"{LEGACY}/{chat.cluster.account_sid}/Keys/{key['sid']}.json"


def token_of(chat, key, identity, **more):
    return chat.token(identity, key_sid=key["sid"], secret=key["secret"], **more)


def moment(seconds):
    when = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


async def on_every_gateway(chat, token, identity="alice"):
    return [await chat.person(identity, token=token, gateway=gateway) for gateway in chat.cluster.gateways]


async def all_end(people, within=EVERYWHERE):
    for person in people:
        assert await person.is_disconnected(within=within) == "io server disconnect"


# --- accounts


def test_a_parent_makes_lists_renames_and_reads_its_sub_accounts(cluster, client):
    name = f"shop {secrets.token_hex(4)}"
    made = client.api.v2010.accounts.create(friendly_name=name)
    assert (made.friendly_name, made.status, made.owner_account_sid) == (name, "active", cluster.account_sid)
    assert made.sid != cluster.account_sid and len(made.auth_token) == 32
    assert made.date_created.tzinfo is not None, "RFC 2822, as the library reads it"
    fetched = client.api.v2010.accounts(made.sid).fetch()
    assert (fetched.auth_token, fetched.type) == (made.auth_token, "Full")
    own = client.api.v2010.accounts(cluster.account_sid).fetch()
    assert (own.owner_account_sid, own.auth_token) == (cluster.account_sid, cluster.auth_token)
    [listed] = client.api.v2010.accounts.list(friendly_name=name, status="active")
    assert listed.sid == made.sid and listed.auth_token is None, "a list has no tokens"
    assert {made.sid, cluster.account_sid} <= {account.sid for account in client.api.v2010.accounts.list()}
    renamed = client.api.v2010.accounts(made.sid).update(friendly_name="renamed")
    assert renamed.friendly_name == "renamed"
    assert client.api.v2010.accounts.list(friendly_name=name) == []
    key = client.new_keys.create(friendly_name="whole account")
    with_key = twilio_client(cluster, key.sid, key.secret, cluster.account_sid)
    assert with_key.api.v2010.accounts(made.sid).fetch().auth_token is None, "a key does not lead to a token"
    assert with_key.api.v2010.accounts.create(friendly_name="by key").auth_token is None
    client.keys(key.sid).delete()


def test_a_sub_account_is_a_tenant_of_its_own_and_sees_nothing_else(cluster, client, tenant):
    own = twilio_client(tenant)
    assert [account.sid for account in own.api.v2010.accounts.list()] == [tenant.account_sid]
    assert own.api.v2010.accounts(tenant.account_sid).fetch().owner_account_sid == cluster.account_sid
    sibling = client.api.v2010.accounts.create(friendly_name="a sibling")
    for foreign in (cluster.account_sid, sibling.sid):
        with fails(404, 20404):
            own.api.v2010.accounts(foreign).fetch()
        with fails(404, 20404):
            own.api.v2010.accounts(foreign).update(status="closed")
        with fails(404, 20404):
            own.api.v2010.accounts(foreign).new_keys.create()
    with fails(403, 20006):
        own.api.v2010.accounts.create(friendly_name="a sub-account of a sub-account")
    service = client.chat.v2.services.create(friendly_name="the parent's")
    with fails(404, 20404):
        own.chat.v2.services(service.sid).fetch()
    theirs = own.chat.v2.services.create(friendly_name="the sub-account's")
    with fails(404, 20404):
        client.chat.v2.services(theirs.sid).fetch()
    service.delete()


def test_a_parent_manages_the_keys_of_its_sub_account(cluster, client, tenant):
    keys = client.api.v2010.accounts(tenant.account_sid)
    made = keys.new_keys.create(friendly_name="given by the parent")
    assert [key.sid for key in keys.keys.list()] == [made.sid]
    with_key = twilio_client(cluster, made.sid, made.secret, tenant.account_sid)
    service = with_key.chat.v2.services.create(friendly_name="x")
    assert service.account_sid == tenant.account_sid
    assert keys.keys(made.sid).update(friendly_name="renamed").friendly_name == "renamed"
    with fails(404, 20404):
        client.keys(made.sid).fetch()
    assert keys.keys(made.sid).delete() is True
    with fails(401, 20003):
        with_key.chat.v2.services(service.sid).fetch()


def test_the_own_status_stays_and_closed_is_final(cluster, client, tenant):
    rest = door(cluster)
    own = f"{LEGACY}/{cluster.account_sid}.json"
    for status in ("suspended", "closed"):
        assert "Status" in error_of(rest.post(own, {"Status": status}), 403, 20006)
    path = f"{LEGACY}/{tenant.account_sid}.json"
    assert error_of(rest.post(path, {"Status": "asleep"}), 400, 20001).startswith("Status")
    assert error_of(rest.get(f"{LEGACY}.json", Status="asleep"), 400, 20001).startswith("Status")
    account = client.api.v2010.accounts(tenant.account_sid)
    assert account.update(status="closed").status == "closed"
    assert account.update(status="closed").status == "closed", "said twice"
    for status in ("active", "suspended"):
        assert "Status" in error_of(rest.post(path, {"Status": status}), 409, 20409)
    assert tenant.account_sid in {found.sid for found in client.api.v2010.accounts.list(status="closed")}
    rest.close()


async def test_a_suspended_account_is_shut_everywhere_and_comes_back(branch, tenant, client):
    branch.channel("general", "alice")
    token = branch.token("alice")
    people = await on_every_gateway(branch, token)
    bearer = branch.bearer("alice")
    assert bearer.get(branch.path + "/Channels/general").status_code == 200
    account = client.api.v2010.accounts(tenant.account_sid)
    assert account.update(status="suspended").status == "suspended"
    await all_end(people)
    error_of(branch.rest.get(branch.path), 401, 20005)
    keyed = door(branch.cluster, branch.key.sid, branch.key.secret)
    error_of(keyed.get(branch.path), 401, 20005)
    error_of(bearer.get(branch.path + "/Channels/general"), 401, 20005)
    for gateway in branch.cluster.gateways:
        with pytest.raises(ConnectionRefused) as refusal:
            await branch.person("alice", token=token, gateway=gateway)
        assert (refusal.value.data["code"], refusal.value.data["status"]) == (20005, 401)
    assert account.update(status="active").status == "active"
    assert branch.rest.get(branch.path).status_code == 200
    [alice, *_] = await on_every_gateway(branch, token)
    await alice.sends("general", "back again")
    bearer.close()
    keyed.close()


async def test_webhooks_of_a_suspended_account_wait(branch, tenant, client, chat, receiver):
    for tenants, name in ((branch, "held"), (chat, "free")):
        tenants.service.update(post_webhook_url=f"{receiver.base}/{name}", post_webhook_retry_count=3)
        tenants.channel("general")

    def told(name):
        return [request for request in receiver.requests if request.url.endswith(name)]

    account = client.api.v2010.accounts(tenant.account_sid)
    receiver.answers(503, 503)
    send = {"path": "Channels/general/Messages", "form": {"Body": "x"}}
    branch.rest.post(f"{branch.path}/{send['path']}", send["form"], x_twilio_webhook_enabled="true")
    await eventually(lambda: told("held"), because="the first attempt is made")
    account.update(status="suspended")
    chat.rest.post(f"{chat.path}/{send['path']}", send["form"], x_twilio_webhook_enabled="true")
    await eventually(lambda: len(told("free")) == 2, because="a retry that was due later is made")
    assert len(told("held")) == 1
    account.update(status="active")
    await eventually(lambda: len(told("held")) == 2, because="it is told again")


# --- keys


async def test_an_expired_key_dies_everywhere_by_itself(chat):
    chat.channel("general", "alice")
    key = make_key(chat, DateExpires=moment(4))
    token = token_of(chat, key, "alice")
    people = await on_every_gateway(chat, token)
    keyed, bearer = door(chat.cluster, key["sid"], key["secret"]), Rest(chat.cluster.api, bearer=token)
    assert keyed.get(chat.path).status_code == bearer.get(f"{chat.path}/Channels/general").status_code == 200
    for person in people:
        await person.receives("tokenExpired", within=EVERYWHERE)
    await all_end(people)
    assert "DateExpires" in error_of(keyed.get(chat.path), 401, 20003)
    assert "DateExpires" in error_of(bearer.get(f"{chat.path}/Channels/general"), 401, 20103)
    with pytest.raises(ConnectionRefused) as refusal:
        await chat.stranger(token)
    assert refusal.value.data["code"] == 20103
    keyed.close()
    bearer.close()


async def test_moving_a_keys_end_moves_the_end_of_its_sockets(chat):
    key = make_key(chat)
    people = await on_every_gateway(chat, token_of(chat, key, "alice"))
    others = await on_every_gateway(chat, chat.token("bob"), "bob")
    moved = chat.rest.post(key_path(chat, key), {"DateExpires": moment(2)})
    assert moved.status_code == 200 and moved.json()["date_expires"], moved.text
    await all_end(people)
    assert all(person.ended is None for person in others)


async def test_deleting_a_key_ends_its_sockets_on_every_gateway(chat):
    key = make_key(chat)
    people = await on_every_gateway(chat, token_of(chat, key, "alice"))
    assert chat.rest.delete(key_path(chat, key)).status_code == 204
    await all_end(people)


async def test_a_read_only_keys_tokens_read_and_hear_and_change_nothing(chat):
    chat.channel("general", "alice", "bob")
    sent = chat.service.channels("general").messages.create(body="first", from_="alice")
    key = make_key(chat, ReadOnly="true")
    token = token_of(chat, key, "alice")
    alice = await chat.person("alice", token=token)
    bob = await chat.person("bob")
    assert (await alice.asks("getMessages", channel="general"))["messages"][0]["body"] == "first"
    assert (await alice.asks("getChannels"))["channels"]
    assert await alice.asks("getChannel", channel="general")
    before = chat.rest.get(f"{chat.path}/Channels/general/Members/alice").json()
    refusals = [
        await alice.is_refused("sendMessage", channel="general", body="x", code=20006, status=403),
        await alice.is_refused("updateMessage", channel="general", message=sent.sid, body="x", code=20006),
        await alice.is_refused("removeMessage", channel="general", message=sent.sid, code=20006),
        await alice.is_refused("leaveChannel", channel="general", code=20006),
        await alice.is_refused("typing", channel="general", code=20006),
        await alice.is_refused("setLastConsumedMessageIndex", channel="general", index=0, code=20006),
    ]
    assert all("read-only" in refusal.message and key["sid"] in refusal.message for refusal in refusals)
    await bob.sends("general", "second")
    assert (await alice.receives("messageAdded"))["message"]["body"] == "second"
    bearer = Rest(chat.cluster.api, bearer=token)
    assert bearer.get(f"{chat.path}/Channels/general/Messages").status_code == 200
    refused = bearer.post(f"{chat.path}/Channels/general/Messages", {"Body": "x"})
    assert "read-only" in error_of(refused, 403, 20006)
    assert chat.rest.get(f"{chat.path}/Channels/general/Members/alice").json() == before
    assert [message.body for message in chat.messages_of("general")] == ["first", "second"]
    bearer.close()


async def test_a_renewed_token_brings_its_own_keys_scope(chat):
    chat.channel("general", "alice")
    key = make_key(chat, ReadOnly="true")
    alice = await chat.person("alice", token=token_of(chat, key, "alice"))
    await alice.is_refused("sendMessage", channel="general", body="x", code=20006)
    await alice.asks("updateToken", token=chat.token("alice"))
    await alice.sends("general", "now I may")
    await alice.asks("updateToken", token=token_of(chat, key, "alice"))
    await alice.is_refused("sendMessage", channel="general", body="x", code=20006)
    await alice.is_refused("leaveChannel", channel="general", code=20006)


async def test_a_key_of_one_service_signs_for_that_service_only(chat, driver):
    other = Chat(chat.cluster, driver, "another service")
    key = make_key(chat, ServiceSid=chat.sid)
    alice = await chat.person("alice", token=token_of(chat, key, "alice"))
    assert alice.initialized["service_sid"] == chat.sid
    with pytest.raises(ConnectionRefused) as refusal:
        await chat.stranger(token_of(chat, key, "alice", service_sid=other.sid))
    assert (refusal.value.data["code"], refusal.value.data["status"]) == (20106, 401)
    keyed = door(chat.cluster, key["sid"], key["secret"])
    assert [service["sid"] for service in keyed.get("/v2/Services").json()["services"]] == [chat.sid]
    error_of(keyed.get(other.path), 404, 20404)
    error_of(keyed.post("/v2/Services", {"FriendlyName": "x"}), 403, 20006)
    error_of(keyed.delete(chat.path), 403, 20006)
    error_of(keyed.get(f"{LEGACY}/{chat.cluster.account_sid}/Keys.json"), 403, 20006)
    assert keyed.post(f"{chat.path}/AccessTokens", {"Identity": "carol"}).status_code == 201
    keyed.close()
    await other.close()


def test_a_keys_last_use_is_noted(chat):
    key = make_key(chat)
    assert key["date_last_used"] is None
    keyed = door(chat.cluster, key["sid"], key["secret"])
    assert keyed.get(chat.path).status_code == 200

    def used():
        return chat.rest.get(key_path(chat, key)).json()["date_last_used"]

    asyncio.run(eventually(used, because="its use is noted"))
    keyed.close()


# --- rotation


def test_tokens_rotate_without_a_moment_in_which_none_is_good(tenant):
    old = twilio_client(tenant)
    made = old.accounts.v1.secondary_auth_token().create()
    assert (made.account_sid, len(made.secondary_auth_token)) == (tenant.account_sid, 32)
    assert made.date_created and made.date_updated and made.url.endswith("/v1/AuthTokens/Secondary")
    new = twilio_client(tenant, password=made.secondary_auth_token)
    for client in (old, new):
        client.chat.v2.services.list(limit=1)
    with fails(409, 20409):
        new.accounts.v1.secondary_auth_token().create()
    promoted = new.accounts.v1.auth_token_promotion().update()
    assert promoted.auth_token == made.secondary_auth_token
    service = new.chat.v2.services.create(friendly_name="after")
    with fails(401, 20003):
        old.chat.v2.services(service.sid).fetch()
    assert new.api.v2010.accounts(tenant.account_sid).fetch().auth_token == promoted.auth_token
    with fails(404, 20404):
        new.accounts.v1.auth_token_promotion().update()
    spare = new.accounts.v1.secondary_auth_token().create()
    assert new.accounts.v1.secondary_auth_token().delete() is True
    with fails(401, 20003):
        twilio_client(tenant, password=spare.secondary_auth_token).chat.v2.services(service.sid).fetch()
    with fails(404, 20404):
        new.accounts.v1.secondary_auth_token().delete()


def test_keys_rotate_no_tokens(chat):
    keyed = door(chat.cluster, chat.key.sid, chat.key.secret)
    for answer in (
        keyed.post("/v1/AuthTokens/Secondary"),
        keyed.post("/v1/AuthTokens/Promote"),
        keyed.delete("/v1/AuthTokens/Secondary"),
    ):
        assert "auth token" in error_of(answer, 403, 20006)
    keyed.close()


def test_of_many_rotations_at_once_exactly_one_succeeds(tenant):
    rest = door(tenant)

    def race(ask):
        with concurrent.futures.ThreadPoolExecutor(20) as racers:
            return list(racers.map(ask, range(20)))

    made = race(lambda _: rest.post("/v1/AuthTokens/Secondary"))
    assert sorted(answer.status_code for answer in made) == [201] + [409] * 19
    [token] = [answer.json()["secondary_auth_token"] for answer in made if answer.status_code == 201]
    renewed = door(tenant, password=token)
    promoted = race(lambda _: renewed.post("/v1/AuthTokens/Promote"))
    assert sorted(answer.status_code for answer in promoted) == [200] + [404] * 19
    assert renewed.get("/v2/Services").status_code == 200
    error_of(rest.get("/v2/Services"), 401, 20003)
    rest.close()
    renewed.close()


async def test_webhooks_are_signed_with_the_primary_token(branch, tenant, receiver):
    branch.service.update(post_webhook_url=receiver.url)
    branch.channel("general")
    path = f"{branch.path}/Channels/general/Messages"
    made = branch.client.accounts.v1.secondary_auth_token().create()
    branch.rest.post(path, {"Body": "before"}, x_twilio_webhook_enabled="true")
    [before] = await receiver.gets("onMessageSent")
    assert before.is_signed_for_twilio(tenant.auth_token)
    branch.client.accounts.v1.auth_token_promotion().update()
    renewed = door(tenant, password=made.secondary_auth_token)
    renewed.post(path, {"Body": "after"}, x_twilio_webhook_enabled="true")
    [_, after] = await receiver.gets("onMessageSent", count=2)
    assert after.is_signed_for_twilio(made.secondary_auth_token)
    renewed.close()


def test_a_node_starts_with_the_token_that_was_rotated_away(tmp_path):
    pair = {"HUBBUB_ACCOUNT_SID": f"AC{secrets.token_hex(16)}", "HUBBUB_AUTH_TOKEN": secrets.token_hex(16)}
    node = Node("rotated", tmp_path, pair).start().wait_ready()
    rest = Rest(node.url, tuple(pair.values()))
    token = rest.post("/v1/AuthTokens/Secondary").json()["secondary_auth_token"]
    assert rest.post("/v1/AuthTokens/Promote").status_code == 200
    rest.close()
    assert node.stop() == 0
    node.start().wait_ready()
    assert "was rotated" in node.log_tail()
    for given, status in ((token, 200), (pair["HUBBUB_AUTH_TOKEN"], 401)):
        rest = Rest(node.url, (pair["HUBBUB_ACCOUNT_SID"], given))
        assert rest.get("/v2/Services").status_code == status, "a start makes no token good again"
        rest.close()
    assert node.stop() == 0


def test_limits_of_a_service_go_up_to_the_operators_ceiling(tmp_path):
    with running("embedded", tmp_path, HUBBUB_LIMIT_CEILING="500") as cluster:
        rest = door(cluster)
        path = f"/v2/Services/{rest.post('/v2/Services', {'FriendlyName': 'x'}).json()['sid']}"
        for field, code in (("Limits.ChannelMembers", 50061), ("Limits.UserChannels", 50060)):
            assert rest.post(path, {field: "500"}).status_code == 200
            refused = error_of(rest.post(path, {field: "501"}), 400, code)
            assert field in refused and "500" in refused
        rest.close()
