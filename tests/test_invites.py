"""Invites: made by backends and members, told to the invited, accepted and declined."""

import concurrent.futures

import pytest

from harness.person import Refused
from harness.rest import error_of
from test_twilio_library import fails


@pytest.fixture
def vault(chat):
    """A private channel of alice's; bob exists and has no place in it."""
    channel = chat.channel("vault", "alice", type="private")
    chat.service.channels("vault").messages.create(body="secret", from_="alice")
    chat.service.users.create(identity="bob")
    return channel


def names(listed):
    return [invite.identity for invite in listed]


def test_invites_are_created_fetched_listed_and_deleted(chat, vault, published):
    chat.service.users.create(identity="carol with a blank")
    invites = chat.service.channels("vault").invites
    made = invites.create(identity="bob")
    assert (made.identity, made.channel_sid, made.created_by) == (
        "bob",
        vault.sid,
        "system",
    )
    assert made.role_sid == chat.service.default_channel_role_sid
    admin = chat.role("channel admin").sid
    other = invites.create(identity="carol with a blank", role_sid=admin)
    assert other.role_sid == admin
    assert names(invites.list()) == ["bob", "carol with a blank"]
    assert names(invites.list(identity=["carol with a blank"])) == ["carol with a blank"]
    assert names(invites.list(identity=["bob", "carol with a blank"], page_size=1)) == [
        "bob",
        "carol with a blank",
    ]
    assert chat.service.channels(vault.sid).invites(made.sid).fetch().identity == "bob"
    published.check("chat.v2.service.channel.invite", chat.rest.http.get(made.url).json())
    assert chat.service.channels("vault").fetch().members_count == 1, "an invited user is no member"
    assert invites(made.sid).delete() is True
    with fails(404, 20404):
        invites(made.sid).fetch()
    assert names(invites.list()) == ["carol with a blank"]
    assert invites.create(identity="bob").sid != made.sid, "it can be repeated once it is gone"


def test_what_cannot_be_invited_is_refused(chat, vault):
    invites = chat.service.channels("vault").invites
    invites.create(identity="bob")
    with fails(409, 50212):
        invites.create(identity="bob")
    with fails(409, 50404):
        invites.create(identity="alice")
    with fails(400, 50101):
        invites.create(identity="bob", role_sid=chat.role("service user").sid)
    with fails(404, 20404):
        chat.service.channels("nowhere").invites.create(identity="bob")
    path = f"{chat.path}/Channels/vault/Invites"
    message = error_of(chat.rest.post(path, {"Identity": "nobody"}), 404, 20404)
    assert path.removeprefix("/v2") in message and "nobody" in message
    assert "Identity" in error_of(chat.rest.post(path), 400, 20001)
    chat.channel("other", "alice")
    [known] = invites.list()
    with fails(404, 20404):
        chat.service.channels("other").invites(known.sid).fetch()


def test_a_role_that_an_invite_gives_is_in_use(chat, vault):
    role = chat.service.roles.create(friendly_name="guest", type="channel", permission=["sendMessage"])
    invite = chat.service.channels("vault").invites.create(identity="bob", role_sid=role.sid)
    with fails(409, 20409):
        role.delete()
    invite.delete()
    assert role.delete() is True


def test_parallel_invites_of_one_user_make_one(chat, vault):
    path = f"{chat.path}/Channels/vault/Invites"
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: chat.rest.post(path, {"Identity": "bob"}).json(), range(20)))
    codes = sorted(answer.get("code", 201) for answer in answers)
    assert codes == [201] + [50212] * 19


def test_becoming_a_member_by_any_way_removes_the_invite(chat, vault):
    invites = chat.service.channels("vault").invites
    admin = chat.role("channel admin").sid
    invites.create(identity="bob", role_sid=admin)
    added = chat.service.channels("vault").members.create(identity="bob")
    assert added.role_sid == chat.service.default_channel_role_sid, "who adds a member says the role"
    assert invites.list() == []
    chat.service.users.create(identity="carol")
    invites.create(identity="carol", role_sid=admin)
    carol = chat.bearer("carol")
    joined = carol.post(f"{chat.path}/Channels/vault/Members", {"Identity": "carol"})
    assert joined.status_code == 201, joined.text
    assert joined.json()["role_sid"] == admin, "who joins has the role of the invite"
    assert invites.list() == []
    carol.close()
    for identity in ("dave", "erin"):
        chat.service.users.create(identity=identity)
        invites.create(identity=identity)
    path = f"{chat.path}/Channels/vault"
    batch = chat.rest.post(f"{path}/Members/Batch", {"Items": '[{"identity": "dave"}]'})
    assert [result["status"] for result in batch.json()["results"]] == [201]
    found = chat.rest.http.put(path, data={"Members": '[{"identity": "erin"}]'})
    assert found.status_code == 200, found.text
    assert invites.list() == []
    assert {member.identity for member in chat.service.channels("vault").members.list()} == {
        "alice",
        "bob",
        "carol",
        "dave",
        "erin",
    }


def test_invites_end_with_their_channel_and_their_user(chat, vault):
    chat.channel("general", "alice")
    for name in ("vault", "general"):
        chat.service.channels(name).invites.create(identity="bob")
    bob = chat.service.users("bob")
    assert {place.status for place in bob.user_channels.list()} == {"invited"}
    chat.service.channels("vault").delete()
    assert [place.channel_sid for place in bob.user_channels.list()] == [chat.service.channels("general").fetch().sid]
    bob.delete()
    assert chat.service.channels("general").invites.list() == []
    chat.service.users.create(identity="bob")
    assert chat.service.users("bob").user_channels.list() == []


async def test_an_invited_user_hears_of_it_sees_the_channel_and_reads_nothing(chat, vault):
    bob = await chat.person("bob")
    await bob.is_refused("getChannel", channel="vault", code=50400)
    chat.service.channels("vault").invites.create(identity="bob")
    told = await bob.receives("channelInvited", channel={"sid": vault.sid, "unique_name": "vault"})
    assert told["channel_sid"] == vault.sid and told["identity"] == "system"
    assert "seq" not in told and "member" not in told
    [entry] = (await bob.asks("getChannels", status="invited"))["channels"]
    assert entry["channel"]["sid"] == vault.sid
    assert (entry["status"], entry["member"], entry["last_message"]) == (
        "invited",
        None,
        None,
    )
    assert (entry["unread_messages_count"], entry["last_consumed_message_index"]) == (
        None,
        None,
    )
    assert (await bob.asks("getChannels"))["channels"] == []
    seen = await bob.asks("getChannel", channel="vault")
    assert (seen["sid"], seen["status"], seen["last_message"]) == (
        vault.sid,
        "invited",
        None,
    )
    await bob.is_refused("getMessages", channel="vault", code=50400)
    await bob.is_refused("sendMessage", channel="vault", body="may I?", code=50400)
    with chat.bearer("bob").http as http:
        assert http.get(f"{chat.path}/Channels/vault").json()["sid"] == vault.sid
        assert http.get(f"{chat.path}/Channels?Type=private").json()["channels"][0]["sid"] == vault.sid
        error_of(http.get(f"{chat.path}/Channels/vault/Messages"), 403, 50400)
        error_of(http.get(f"{chat.path}/Channels/vault/Members"), 403, 50400)
    [invite] = chat.service.channels("vault").invites.list()
    invite.delete()
    await bob.is_refused("getChannel", channel="vault", code=50400)
    assert (await bob.asks("getChannels", status="invited"))["channels"] == []


async def test_accepting_makes_a_member_with_the_role_of_the_invite(chat, vault):
    admin = chat.role("channel admin").sid
    alice, bob = await chat.person("alice"), await chat.person("bob", "js-polling")
    await bob.is_refused("acceptInvite", channel="vault", code=20404)
    chat.service.channels("vault").invites.create(identity="bob", role_sid=admin)
    await bob.receives("channelInvited")
    place = await bob.asks("acceptInvite", channel="vault")
    assert (place["status"], place["member"]["role_sid"]) == ("joined", admin)
    assert place["last_message"]["body"] == "secret"
    await bob.receives("channelJoined", channel_sid=vault.sid)
    joined = await alice.receives("memberJoined", member={"identity": "bob"})
    assert joined["identity"] == "bob"
    assert chat.service.channels("vault").invites.list() == []
    assert chat.service.users("bob").fetch().joined_channels_count == 1
    await alice.sends("vault", "welcome")
    await bob.receives("messageAdded", body="welcome")
    await bob.is_refused("acceptInvite", channel="vault", code=20404)


async def test_declining_removes_the_invite_and_members_cannot_decline(chat, vault):
    bob = await chat.person("bob", "python")
    await bob.is_refused("declineInvite", channel="vault", code=20404)
    chat.service.channels("vault").invites.create(identity="bob")
    await bob.receives("channelInvited")
    assert await bob.asks("declineInvite", channel=vault.sid) == {}
    assert chat.service.channels("vault").invites.list() == []
    await bob.is_refused("acceptInvite", channel="vault", code=20404)
    await bob.is_refused("joinChannel", channel="vault", code=50400)
    chat.service.channels("vault").members.create(identity="bob")
    await bob.is_refused("declineInvite", channel="vault", code=50602)


async def test_members_invite_as_far_as_their_roles_allow(chat, vault):
    alice, bob = await chat.person("alice"), await chat.person("bob")
    refusal = await alice.is_refused("inviteMember", channel="vault", identity="bob", code=50107)
    assert "inviteMember" in refusal.message
    chat.service.channels("vault").members("alice").update(role_sid=chat.role("channel admin").sid)
    invite = await alice.asks("inviteMember", channel="vault", identity="bob")
    assert (invite["identity"], invite["created_by"]) == ("bob", "alice")
    told = await bob.receives("channelInvited", channel_sid=vault.sid)
    assert told["identity"] == "alice"
    await alice.is_refused("inviteMember", channel="vault", identity="bob", code=50212)
    await alice.is_refused("inviteMember", channel="vault", identity="nobody", code=20404)
    await alice.is_refused("inviteMember", channel="vault", code=20001)
    await bob.is_refused("inviteMember", channel="vault", identity="alice", code=50107)
    assert (await bob.asks("joinChannel", channel="vault"))["status"] == "joined", "an invited user may simply join"


async def test_a_user_sees_the_invites_of_its_channels_and_its_own(chat, vault):
    chat.service.users.create(identity="carol")
    invites = chat.service.channels("vault").invites
    mine, other = invites.create(identity="bob"), invites.create(identity="carol")
    path = f"{chat.path}/Channels/vault/Invites"
    alice, bob, eve = chat.bearer("alice"), chat.bearer("bob"), chat.bearer("eve")
    assert [invite["identity"] for invite in alice.get(path).json()["invites"]] == [
        "bob",
        "carol",
    ]
    assert [invite["identity"] for invite in bob.get(path).json()["invites"]] == ["bob"]
    error_of(bob.get(f"{path}/{other.sid}"), 404, 20404)
    error_of(eve.get(path), 403, 50400)
    assert "inviteMember" in error_of(bob.delete(f"{path}/{other.sid}"), 403, 50107)
    assert bob.delete(f"{path}/{mine.sid}").status_code == 204
    assert names(invites.list()) == ["carol"]
    for rest in (alice, bob, eve):
        rest.close()


async def test_limits_hold_for_those_who_accept(chat, vault):
    chat.service.update(limits_channel_members=1)
    chat.service.channels("vault").invites.create(identity="bob")
    bob = await chat.person("bob")
    with pytest.raises(Refused) as refusal:
        await bob.asks("acceptInvite", channel="vault")
    assert refusal.value.code == 50403
    assert names(chat.service.channels("vault").invites.list()) == ["bob"], "nothing happened"


async def test_nobody_gives_more_rights_than_it_has(chat, vault):
    admin, plain = chat.role("channel admin").sid, chat.service.default_channel_role_sid
    scout = chat.service.roles.create(
        friendly_name="scout",
        type="channel",
        permission=["inviteMember", "addMember", "sendMessage"],
    )
    chat.service.channels("vault").members("alice").update(role_sid=scout.sid)
    chat.channel("general")
    alice = await chat.person("alice")
    refusal = await alice.is_refused("inviteMember", channel="vault", identity="bob", role_sid=admin, code=50205)
    assert admin in refusal.message
    assert (await alice.asks("inviteMember", channel="vault", identity="bob", role_sid=plain))["role_sid"] == plain
    rest = chat.bearer("alice")
    for channel, identity in (("vault", "carol"), ("general", "alice")):
        path = f"{chat.path}/Channels/{channel}/Members"
        error_of(rest.post(path, {"Identity": identity, "RoleSid": admin}), 403, 50205)
        assert rest.post(path, {"Identity": identity, "RoleSid": plain}).status_code == 201
    rest.close()
