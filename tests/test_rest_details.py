"""The REST door under a magnifying glass: shapes, codes, limits, tenants."""

import uuid

import pytest

from harness.rest import Rest, error_of

CASES = {
    "service": ("chat.v2.service", ""),
    "role": ("chat.v2.service.role", "/Roles"),
    "user": ("chat.v2.service.user", "/Users"),
    "channel": ("chat.v2.service.channel", "/Channels"),
    "member": ("chat.v2.service.channel.member", "/Channels/general/Members"),
    "message": ("chat.v2.service.channel.message", "/Channels/general/Messages"),
}


@pytest.fixture
def furnished(chat):
    """A service with one of everything."""
    chat.channel("general", "alice")
    chat.service.channels("general").messages.create(body="hello", from_="alice")
    return chat


@pytest.fixture
def neighbour(cluster, chat):
    """The credentials of another tenant on the same installation."""
    answer = chat.rest.post("/2010-04-01/Accounts.json", {"FriendlyName": "the neighbour"})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["sid"] != cluster.account_sid
    rest = Rest(cluster.api, (made["sid"], made["auth_token"]))
    yield rest
    rest.close()


def one_of_each(chat):
    """kind → a path that answers with one resource."""
    first = {
        kind: chat.rest.get(f"{chat.path}{path}").json()[path.rsplit("/", 1)[1].lower()][0]["sid"]
        for kind, (_, path) in CASES.items()
        if path
    }
    paths = {kind: f"{chat.path}{path}/{first[kind]}" for kind, (_, path) in CASES.items() if path}
    return {"service": chat.path, **paths}


@pytest.mark.parametrize("kind", CASES)
def test_every_answer_has_the_published_shape_and_a_url_that_leads_back_to_it(furnished, published, kind):
    answer = furnished.rest.get(one_of_each(furnished)[kind])
    assert answer.status_code == 200, answer.text
    resource = published.check(CASES[kind][0], answer.json())
    again = furnished.rest.http.get(resource["url"])
    assert again.status_code == 200 and again.json()["sid"] == resource["sid"]


def test_a_page_names_its_neighbours_in_absolute_urls(chat):
    channel = chat.channel("general")
    for number in range(5):
        chat.service.channels(channel.sid).messages.create(body=str(number))
    page = chat.rest.get(f"{chat.path}/Channels/general/Messages", PageSize=2, Order="desc").json()
    meta = page["meta"]
    assert set(meta) >= {"page", "page_size", "first_page_url", "previous_page_url", "url", "next_page_url", "key"}
    assert (meta["page"], meta["page_size"], meta["key"], meta["previous_page_url"]) == (0, 2, "messages", None)
    for name in ("url", "first_page_url", "next_page_url"):
        assert meta[name].startswith(chat.cluster.api + chat.path), meta[name]
        assert "Order=desc" in meta[name], "a neighbour keeps the filters"
    bodies = [message["body"] for message in page["messages"]]
    while meta["next_page_url"]:
        page = chat.rest.http.get(meta["next_page_url"]).json()
        meta = page["meta"]
        bodies += [message["body"] for message in page["messages"]]
    assert bodies == ["4", "3", "2", "1", "0"]


def test_page_sizes_are_clamped_and_unknown_page_tokens_refused(chat):
    meta = chat.rest.get(f"{chat.path}/Users", PageSize=5000).json()["meta"]
    assert meta["page_size"] == 100
    assert chat.rest.get(f"{chat.path}/Users").json()["meta"]["page_size"] == 50
    refused = chat.rest.get(f"{chat.path}/Users", PageToken="no such token")
    assert refused.status_code == 400, refused.text


def test_json_bodies_do_what_forms_do(chat, published):
    made = chat.rest.post(f"{chat.path}/Channels", json={"UniqueName": "json", "Attributes": '{"a": [1, 2]}'})
    assert made.status_code == 201, made.text
    channel = published.check("chat.v2.service.channel", made.json())
    assert (channel["unique_name"], channel["attributes"]) == ("json", '{"a": [1, 2]}'), "text as stored"
    error_of(chat.rest.post(f"{chat.path}/Channels", json={"UniqueName": "json"}), 409, 50307)


def test_the_link_to_the_last_message_follows_the_messages(chat):
    channel = chat.channel("general")
    path = f"{chat.path}/Channels/general"
    assert chat.rest.get(path).json()["links"]["last_message"] is None
    messages = chat.service.channels(channel.sid).messages
    first, second = messages.create(body="1"), messages.create(body="2")
    link = chat.rest.get(path).json()["links"]["last_message"]
    assert chat.rest.http.get(link).json()["sid"] == second.sid
    second.delete()
    link = chat.rest.get(path).json()["links"]["last_message"]
    assert chat.rest.http.get(link).json()["sid"] == first.sid


def test_a_delete_answers_204_with_nothing(furnished):
    answer = furnished.rest.delete(f"{furnished.path}/Channels/general")
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("credentials", [None, ("AC" + "0" * 32, "x"), ("SK" + "0" * 32, "x"), ("nonsense", "")])
def test_missing_or_wrong_credentials_are_401(chat, credentials):
    stranger = Rest(chat.cluster.api, credentials)
    error_of(stranger.get(chat.path), 401, 20003)
    error_of(stranger.post(f"{chat.path}/Channels", {"UniqueName": "x"}), 401, 20003)
    stranger.close()


@pytest.mark.parametrize("kind", CASES)
def test_another_tenants_objects_are_404(furnished, neighbour, kind):
    path = one_of_each(furnished)[kind]
    error_of(neighbour.get(path), 404, 20404)
    error_of(neighbour.post(path, {"FriendlyName": "mine"}), 404, 20404)
    error_of(neighbour.delete(path), 404, 20404)
    assert furnished.rest.get(path).status_code == 200, "and they are still there"
    if collection := CASES[kind][1]:
        error_of(neighbour.get(furnished.path + collection), 404, 20404)
        error_of(neighbour.post(furnished.path + collection, {"Identity": "x", "Body": "x"}), 404, 20404)


@pytest.mark.parametrize("kind", [kind for kind in CASES if kind != "service"])
def test_an_object_under_the_wrong_parent_is_404(furnished, kind):
    other = furnished.client.chat.v2.services.create(friendly_name="other")
    path = one_of_each(furnished)[kind].replace(furnished.sid, other.sid)
    error_of(furnished.rest.get(path), 404, 20404)
    other.delete()


def test_unknown_paths_and_methods_have_error_bodies(chat):
    error_of(chat.rest.get("/v2/Nothing"), 404, 20404)
    error_of(chat.rest.get("/v2/Services/IS" + "0" * 32), 404, 20404)
    assert chat.rest.http.put(chat.path).status_code in (404, 405)


def test_bad_bodies_name_the_field_and_leave_the_server_standing(chat):
    headers = {"content-type": "application/json"}
    path = f"{chat.path}/Channels"
    assert chat.rest.http.post(path, content=b'{"UniqueName": ', headers=headers).status_code == 400
    assert chat.rest.http.post(path, content=b"[1, 2]", headers=headers).status_code == 400
    wrong_type = chat.rest.post(path, json={"UniqueName": {"a": 1}})
    assert wrong_type.status_code == 400 and "UniqueName" in wrong_type.json()["message"], wrong_type.text
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert chat.rest.http.post(path, content=b"UniqueName=%ff%fe", headers=form).status_code == 400
    missing = chat.rest.post(f"{chat.path}/Users", {"FriendlyName": "x"})
    assert missing.status_code == 400 and "Identity" in missing.json()["message"], missing.text
    timeout = chat.rest.post(chat.path, {"TypingIndicatorTimeout": "soon"})
    assert timeout.status_code == 400 and "TypingIndicatorTimeout" in timeout.json()["message"], timeout.text
    assert chat.rest.get(chat.path).status_code == 200


def test_a_body_over_one_mebibyte_is_413(chat):
    answer = chat.rest.post(f"{chat.path}/Channels", {"FriendlyName": "x" * (1 << 20)})
    error_of(answer, 413, 20413)


def test_a_repeated_idempotency_key_answers_like_the_first(chat):
    chat.channel("general")
    path = f"{chat.path}/Channels/general/Messages"
    key = str(uuid.uuid4())
    first = chat.rest.post(path, {"Body": "once"}, idempotency_key=key)
    again = chat.rest.post(path, {"Body": "once"}, idempotency_key=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert "replayed" not in first.json()
    assert again.json() == {**first.json(), "replayed": True}
    error_of(chat.rest.post(path, {"Body": "something else"}, idempotency_key=key), 409, 20409)
    assert len(chat.rest.get(path).json()["messages"]) == 1


def test_idempotency_holds_for_every_post(chat):
    key = str(uuid.uuid4())
    first = chat.rest.post(f"{chat.path}/Channels", {"UniqueName": "once"}, idempotency_key=key)
    again = chat.rest.post(f"{chat.path}/Channels", {"UniqueName": "once"}, idempotency_key=key)
    assert first.status_code == again.status_code == 201, again.text
    assert again.json()["sid"] == first.json()["sid"] and again.json()["replayed"] is True
    error_of(chat.rest.post(f"{chat.path}/Channels", {"UniqueName": "twice"}, idempotency_key=key), 409, 20409)


def test_the_access_tokens_endpoint_mints_a_token_that_works(chat):
    answer = chat.rest.post(f"{chat.path}/AccessTokens", {"Identity": "alice", "Ttl": "600"})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["identity"], made["service_sid"]) == ("alice", chat.sid)
    assert made["date_expires"]
    alice = Rest(chat.cluster.api, bearer=made["token"])
    chat.channel("general", "alice")
    assert alice.get(f"{chat.path}/Channels/general").status_code == 200
    alice.close()


def test_a_bearer_may_do_what_its_roles_allow_and_no_more(furnished):
    message = furnished.messages_of("general")[0]
    bob = furnished.bearer("bob")
    furnished.service.channels("general").members.create(identity="bob")
    sent = bob.post(f"{furnished.path}/Channels/general/Messages", {"Body": "mine"})
    assert sent.status_code == 201 and sent.json()["from"] == "bob", sent.text
    refused = bob.delete(f"{furnished.path}/Channels/general/Messages/{message.sid}")
    assert "deleteAnyMessage" in error_of(refused, 403, 50107)
    assert bob.post(furnished.path, {"FriendlyName": "taken over"}).status_code == 403
    assert furnished.client.chat.v2.services(furnished.sid).fetch().friendly_name != "taken over"
    bob.close()


def test_deleting_a_user_ends_its_memberships(furnished):
    furnished.service.users("alice").delete()
    assert furnished.service.channels("general").members.list() == []


def test_account_keys_have_twilios_paths(chat):
    account = chat.cluster.account_sid
    own = chat.rest.get(f"/2010-04-01/Accounts/{account}.json")
    assert own.status_code == 200 and own.json()["sid"] == account
    listed = chat.rest.get("/2010-04-01/Accounts.json").json()
    assert account in {found["sid"] for found in listed["accounts"]}
    key = chat.rest.post(f"/2010-04-01/Accounts/{account}/Keys.json", {"FriendlyName": "k"}).json()
    shown = chat.rest.get(f"/2010-04-01/Accounts/{account}/Keys/{key['sid']}.json").json()
    assert shown["sid"] == key["sid"] and "secret" not in shown, "a secret is shown once"
