"""The verbs by which users manage channels, members and themselves."""


async def test_a_user_makes_changes_and_removes_a_channel(chat, published):
    alice, bob = await chat.person("alice"), await chat.person("bob", "python-websocket")
    made = await alice.asks(
        "createChannel", friendly_name="Tea", unique_name="tea", type="public", attributes='{"leaf":"green"}'
    )
    published.check("chat.v2.service.channel", made)
    assert (made["created_by"], made["members_count"], made["attributes"]) == ("alice", 1, '{"leaf":"green"}')
    await alice.receives("channelJoined", channel_sid=made["sid"])
    member = chat.rest.get(f"{chat.path}/Channels/tea/Members/alice").json()
    assert member["role_sid"] == chat.service.fetch().default_channel_creator_role_sid

    await bob.asks("joinChannel", channel="tea")
    refusal = await bob.is_refused("updateChannel", channel="tea", friendly_name="Mine", code=50107)
    assert "editChannelName" in refusal.message
    await bob.is_refused("removeChannel", channel="tea", code=50107)
    updated = await alice.asks("updateChannel", channel="tea", friendly_name="", attributes='{"leaf":"black"}')
    assert (updated["friendly_name"], updated["attributes"]) == (None, '{"leaf":"black"}')
    await bob.receives("channelUpdated", channel={"attributes": '{"leaf":"black"}'})

    await alice.is_refused("createChannel", unique_name="tea", code=50307)
    wrong = await alice.is_refused("createChannel", type="secret", code=20001)
    assert "Type" in wrong.message
    assert await alice.asks("removeChannel", channel="tea") == {}
    await bob.receives("channelRemoved", channel_sid=made["sid"])
    await alice.is_refused("getChannel", channel="tea", status=404)


async def test_who_may_not_make_channels_is_told_which_right_it_lacks(chat):
    role = chat.service.roles.create(friendly_name="guest", type="deployment", permission=["joinChannel"])
    chat.service.users.create(identity="guest", role_sid=role.sid)
    guest = await chat.person("guest")
    refusal = await guest.is_refused("createChannel", unique_name="mine", code=50107)
    assert "createChannel" in refusal.message


async def test_public_channels_are_listed_page_by_page(chat):
    for number in range(7):
        chat.channel(f"open {number}")
    chat.channel("hidden", type="private")
    alice = await chat.person("alice")
    names, token = [], None
    for _ in range(4):
        page = await alice.asks("getPublicChannels", limit=2, **({"page_token": token} if token else {}))
        names += [channel["unique_name"] for channel in page["channels"]]
        token = page["next_page_token"]
        if not token:
            break
    assert names == [f"open {number}" for number in range(7)]
    await alice.is_refused("getPublicChannels", page_token="nonsense", code=20001)


async def test_members_are_added_changed_listed_and_removed(chat, published):
    alice = await chat.person("alice")
    channel = await alice.asks("createChannel", unique_name="team", type="private")
    bob = await chat.person("bob")
    added = await alice.asks("addMember", channel="team", identity="bob", attributes='{"seat":1}')
    published.check("chat.v2.service.channel.member", added)
    assert (added["identity"], added["attributes"]) == ("bob", '{"seat":1}')
    await bob.receives("channelJoined", channel_sid=channel["sid"])
    await alice.is_refused("addMember", channel="team", identity="bob", code=50404)
    missing = await alice.is_refused("addMember", channel="team", code=20001)
    assert "identity" in missing.message

    changed = await bob.asks("updateMember", channel="team", identity="bob", attributes='{"seat":2}')
    assert changed["attributes"] == '{"seat":2}'
    await alice.receives("memberUpdated", member={"identity": "bob", "attributes": '{"seat":2}'})
    refusal = await bob.is_refused("updateMember", channel="team", identity="alice", attributes="{}", code=50107)
    assert "editAnyMemberAttributes" in refusal.message
    await bob.is_refused("updateMember", channel="team", identity="bob", role_sid=chat.role("channel admin").sid, code=50205)

    listed = await bob.asks("getMembers", channel="team", limit=1)
    assert [member["identity"] for member in listed["members"]] == ["alice"]
    rest = await bob.asks("getMembers", channel="team", page_token=listed["next_page_token"])
    assert [member["identity"] for member in rest["members"]] == ["bob"] and rest["next_page_token"] is None

    refusal = await bob.is_refused("removeMember", channel="team", identity="alice", code=50107)
    assert "removeMember" in refusal.message
    assert await alice.asks("removeMember", channel="team", identity="bob") == {}
    await bob.receives("channelLeft", channel_sid=channel["sid"])
    await bob.is_refused("getMembers", channel="team", code=50400)
    await alice.is_refused("removeMember", channel="team", identity="bob", status=404)


async def test_nobody_adds_a_member_with_more_rights_than_its_own(chat):
    role = chat.service.roles.create(friendly_name="adder", type="channel", permission=["addMember", "sendMessage"])
    chat.channel("team", "alice")
    chat.service.channels("team").members("alice").update(role_sid=role.sid)
    alice = await chat.person("alice")
    await alice.is_refused("addMember", channel="team", identity="alias", role_sid=chat.role("channel admin").sid, code=50205)
    await alice.asks("addMember", channel="team", identity="friend", role_sid=role.sid)


async def test_users_read_and_change_themselves(chat, published):
    alice = await chat.person("alice")
    other = await chat.person("alice", "python-polling")
    me = await alice.asks("getUser")
    published.check("chat.v2.service.user", me)
    assert me["identity"] == "alice"
    chat.service.users.create(identity="bob", friendly_name="Bob")
    assert (await alice.asks("getUser", identity="bob"))["friendly_name"] == "Bob"
    await alice.is_refused("getUser", identity="nobody", status=404)
    updated = await alice.asks("updateUser", friendly_name="Alice!", attributes='{"mood":"good"}')
    assert (updated["friendly_name"], updated["attributes"]) == ("Alice!", '{"mood":"good"}')
    await other.receives("userUpdated", user={"friendly_name": "Alice!"})
    refusal = await alice.is_refused("updateUser", identity="bob", friendly_name="Not Bob", code=50107)
    assert "editAnyUserInfo" in refusal.message
    await alice.is_refused("updateUser", attributes="{oops", code=50304)
