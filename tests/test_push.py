"""Push: credentials of an account, and the devices that its users register."""

import concurrent.futures
import urllib.parse

import pytest

from harness.rest import Rest, error_of
from test_twilio_library import fails

ALL_TYPES = ["new_message", "added_to_channel", "invited_to_channel", "removed_from_channel"]


@pytest.fixture
def credentials(client):
    """The account's credentials; those that a test makes are gone after it."""
    before = {credential.sid for credential in client.chat.v2.credentials.list()}
    yield client.chat.v2.credentials
    for credential in client.chat.v2.credentials.list():
        if credential.sid not in before:
            credential.delete()


@pytest.fixture
def alice(chat):
    """The path of alice's bindings, with a way to register one."""
    chat.service.users.create(identity="alice")
    return Devices(chat, "alice")


class Devices:
    def __init__(self, chat, identity):
        self.rest = chat.rest
        self.path = f"{chat.path}/Users/{urllib.parse.quote(identity, safe='')}/Bindings"

    def register(self, rest=None, **fields):
        form = {"BindingType": "fcm", "Address": "token-1", **fields}
        return (rest or self.rest).post(self.path, form)

    def registered(self, **fields):
        answer = self.register(**fields)
        assert answer.status_code == 201, answer.text
        return answer.json()


# --- credentials


def test_credentials_are_made_of_each_type_and_never_show_their_secrets(client, credentials, published):
    apn = credentials.create(
        type="apn", friendly_name="Apple", certificate="-----CERT hush", private_key="-----KEY hush", sandbox=True
    )
    gcm = credentials.create(type="gcm", api_key="hush")
    fcm = credentials.create(type="fcm", friendly_name="Firebase", secret="hush")
    assert [(c.type, c.friendly_name, c.sandbox) for c in (apn, gcm, fcm)] == [
        ("apn", "Apple", "True"),
        ("gcm", None, "False"),
        ("fcm", "Firebase", "False"),
    ]
    listed = [credential.sid for credential in credentials.list(page_size=2)]
    assert [sid for sid in listed if sid in (apn.sid, gcm.sid, fcm.sid)] == [apn.sid, gcm.sid, fcm.sid]
    rest = Rest(client.chat.base_url, (client.username, client.password))
    for credential in (apn, gcm, fcm):
        answer = rest.http.get(credential.url)
        published.check("chat.v2.credential", answer.json())
        assert "hush" not in answer.text and answer.json()["account_sid"] == client.username
    assert rest.get("/v2/Credentials", PageSize=5000).json()["meta"]["page_size"] == 1000
    rest.close()
    assert credentials(fcm.sid).delete() is True
    with fails(404, 20404):
        credentials(fcm.sid).fetch()


def test_the_missing_secret_is_named(client, credentials):
    rest = Rest(client.chat.base_url, (client.username, client.password))

    def refusal(**form):
        return error_of(rest.post("/v2/Credentials", form), 400, 20001)

    assert refusal(ApiKey="x").startswith("Type")
    assert refusal(Type="sms").startswith("Type")
    assert refusal(Type="gcm", Secret="x").startswith("ApiKey")
    assert refusal(Type="fcm", ApiKey="x").startswith("Secret")
    assert refusal(Type="apn", PrivateKey="x").startswith("Certificate")
    assert refusal(Type="apn", Certificate="x").startswith("PrivateKey")
    assert refusal(Type="apn", Certificate="x", PrivateKey="y", Sandbox="perhaps").startswith("Sandbox")
    error_of(rest.post("/v2/Credentials", {"Type": "fcm", "Secret": "x", "FriendlyName": "x" * 257}), 400, 50003)
    rest.close()


def test_an_update_changes_what_is_given(client, credentials):
    made = credentials.create(type="apn", friendly_name="Apple", certificate="a", private_key="b")
    assert made.sandbox == "False"
    changed = credentials(made.sid).update(friendly_name="Apple 2", sandbox=True)
    assert (changed.sid, changed.type, changed.friendly_name, changed.sandbox) == (made.sid, "apn", "Apple 2", "True")
    assert credentials(made.sid).update(certificate="c").friendly_name == "Apple 2"
    rest = Rest(client.chat.base_url, (client.username, client.password))
    path = f"/v2/Credentials/{made.sid}"
    assert error_of(rest.post(path, {"PrivateKey": ""}), 400, 20001).startswith("PrivateKey")
    error_of(rest.post("/v2/Credentials/CR" + "0" * 32, {"FriendlyName": "x"}), 404, 20404)
    rest.close()


def test_credentials_belong_to_their_account(chat, credentials):
    made = credentials.create(type="gcm", api_key="hush")
    answer = chat.rest.post("/2010-04-01/Accounts.json", {"FriendlyName": "the neighbour"}).json()
    neighbour = Rest(chat.cluster.api, (answer["sid"], answer["auth_token"]))
    assert neighbour.get("/v2/Credentials").json()["credentials"] == []
    path = f"/v2/Credentials/{made.sid}"
    error_of(neighbour.get(path), 404, 20404)
    error_of(neighbour.post(path, {"FriendlyName": "mine"}), 404, 20404)
    error_of(neighbour.delete(path), 404, 20404)
    neighbour.close()
    user = chat.bearer("alice")
    error_of(user.get("/v2/Credentials"), 401, 20003)
    user.close()
    assert credentials(made.sid).fetch().friendly_name is None


# --- bindings


def test_a_device_is_registered_and_read_from_both_sides(chat, alice, credentials, published):
    credential = credentials.create(type="apn", certificate="a", private_key="b")
    made = alice.registered(
        BindingType="apn",
        Address="hush hush",
        Endpoint="phone",
        CredentialSid=credential.sid,
        MessageTypes=["invited_to_channel", "new_message"],
    )
    published.check("chat.v2.service.user.user_binding", made)
    user = chat.service.users("alice")
    assert (made["binding_type"], made["endpoint"], made["credential_sid"]) == ("apn", "phone", credential.sid)
    assert (made["identity"], made["user_sid"]) == ("alice", user.fetch().sid)
    assert made["message_types"] == ["new_message", "invited_to_channel"]
    assert user.user_bindings(made["sid"]).fetch().endpoint == "phone"
    binding = chat.service.bindings(made["sid"]).fetch()
    raw = chat.rest.http.get(binding.url)
    published.check("chat.v2.service.binding", raw.json())
    assert chat.rest.http.get(binding.links["user"]).json()["identity"] == "alice"
    for answer in (raw, chat.rest.http.get(made["url"]), chat.rest.get(f"{chat.path}/Bindings")):
        assert answer.status_code == 200 and "hush" not in answer.text
    assert chat.service.bindings(made["sid"]).delete() is True
    with fails(404, 20404):
        user.user_bindings(made["sid"]).fetch()
    plain = alice.registered()
    assert (plain["endpoint"], plain["credential_sid"], plain["message_types"]) == (None, None, ALL_TYPES)
    assert user.user_bindings(plain["sid"]).delete() is True
    with fails(404, 20404):
        chat.service.bindings(plain["sid"]).fetch()


def test_the_same_device_again_replaces_its_binding(chat, alice):
    first = alice.registered(Address="token-1", MessageTypes="new_message")
    again = alice.registered(Address="token-1")
    assert (again["sid"], again["message_types"]) == (first["sid"], ALL_TYPES)
    phone = alice.registered(Address="token-2", Endpoint="phone")
    renewed = alice.registered(Address="token-3", Endpoint="phone")
    assert renewed["sid"] == phone["sid"] != first["sid"]
    assert alice.registered(Address="token-1", BindingType="gcm")["sid"] not in (first["sid"], phone["sid"])
    chat.service.users.create(identity="bob")
    assert Devices(chat, "bob").registered(Address="token-1")["sid"] != first["sid"]
    assert len(chat.service.users("alice").user_bindings.list()) == 3
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: alice.registered(Address="token-9", Endpoint="tablet"), range(20)))
    assert len({answer["sid"] for answer in answers}) == 1


def test_wrong_devices_are_refused_by_name(chat, alice, credentials):
    def refusal(status, code, **fields):
        return error_of(alice.register(**fields), status, code)

    assert "BindingType" in refusal(400, 50209, BindingType="sms")
    assert "BindingType" in error_of(chat.rest.post(alice.path, {"Address": "x"}), 400, 50209)
    assert "Address" in error_of(chat.rest.post(alice.path, {"BindingType": "fcm"}), 400, 20001)
    assert "Address" in refusal(400, 20001, Address="")
    assert "MessageTypes" in refusal(400, 20001, MessageTypes="typing")
    gcm = credentials.create(type="gcm", api_key="x")
    for sid in (gcm.sid, "CR" + "0" * 32, "nonsense"):
        assert "CredentialSid" in refusal(400, 20001, CredentialSid=sid)
    other = chat.rest.post("/2010-04-01/Accounts.json", {"FriendlyName": "the neighbour"}).json()
    neighbour = Rest(chat.cluster.api, (other["sid"], other["auth_token"]))
    foreign = neighbour.post("/v2/Credentials", {"Type": "fcm", "Secret": "x"}).json()
    assert "CredentialSid" in refusal(400, 20001, CredentialSid=foreign["sid"])
    error_of(neighbour.get(alice.path), 404, 20404)
    neighbour.close()
    error_of(Devices(chat, "nobody").register(), 404, 20404)
    assert chat.service.bindings.list() == []


def test_lists_are_filtered_and_pages_keep_the_filters(chat, alice):
    identity = "bob & co/±"
    chat.service.users.create(identity=identity)
    bob = Devices(chat, identity)
    for number in range(3):
        for devices in (alice, bob):
            devices.registered(BindingType="gcm", Address=f"token-{number}")
            devices.registered(BindingType="apn", Address=f"token-{number}")
    bindings = chat.service.bindings
    assert len(bindings.list()) == 12
    assert {b.binding_type for b in bindings.list(binding_type=["gcm"])} == {"gcm"}
    assert len(bindings.list(binding_type=["gcm", "apn"], page_size=5)) == 12
    named = bindings.list(identity=[identity], binding_type=["apn"], page_size=1)
    assert [(b.identity, b.binding_type) for b in named] == [(identity, "apn")] * 3
    assert chat.rest.http.get(named[0].links["user"]).json()["identity"] == identity
    assert len(bindings.list(identity=[identity, "alice"])) == 12
    mine = chat.service.users("alice").user_bindings
    assert len(mine.list(binding_type=["gcm"], page_size=2)) == 3
    path = f"{chat.path}/Bindings"
    meta = chat.rest.http.get(f"{path}?BindingType=gcm&BindingType=apn&Identity=alice&PageSize=2").json()["meta"]
    for url in (meta["url"], meta["next_page_url"], meta["first_page_url"]):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
        assert (query["BindingType"], query["Identity"]) == (["gcm", "apn"], ["alice"])
    for listed in (path, alice.path):
        assert chat.rest.get(listed, PageSize=100).json()["meta"]["page_size"] == 50
        error_of(chat.rest.get(listed, BindingType="sms"), 400, 50209)


def test_a_token_registers_lists_and_deletes_its_own_devices_only(chat, alice):
    chat.service.users.create(identity="bob")
    bob = Devices(chat, "bob")
    foreign = bob.registered()
    rest = chat.bearer("alice")
    made = alice.register(rest).json()
    assert [binding["sid"] for binding in rest.get(alice.path).json()["bindings"]] == [made["sid"]]
    assert rest.get(f"{alice.path}/{made['sid']}").status_code == 200
    by_sid = f"{chat.path}/Users/{chat.service.users('bob').fetch().sid}/Bindings"
    for path in (bob.path, by_sid):
        for answer in (
            rest.get(path),
            rest.post(path, {"BindingType": "fcm", "Address": "x"}),
            rest.get(f"{path}/{foreign['sid']}"),
            rest.delete(f"{path}/{foreign['sid']}"),
        ):
            assert "own user" in error_of(answer, 403, 20006)
    error_of(rest.get(f"{chat.path}/Bindings"), 403, 20006)
    error_of(rest.get(f"{chat.path}/Bindings/{made['sid']}"), 403, 20006)
    error_of(rest.delete(f"{chat.path}/Bindings/{made['sid']}"), 403, 20006)
    error_of(rest.get(f"{alice.path}/{foreign['sid']}"), 404, 20404)
    assert rest.delete(f"{alice.path}/{made['sid']}").status_code == 204
    error_of(rest.delete(f"{alice.path}/{made['sid']}"), 404, 20404)
    rest.close()
    assert [binding.sid for binding in chat.service.bindings.list()] == [foreign["sid"]]


def test_devices_go_with_their_user_and_with_their_credential(chat, alice, credentials):
    credential = credentials.create(type="fcm", secret="x")
    kept = alice.registered(Address="without")
    alice.registered(Address="with", CredentialSid=credential.sid)
    credential.delete()
    assert [binding.sid for binding in chat.service.bindings.list()] == [kept["sid"]]
    chat.service.users("alice").delete()
    assert chat.service.bindings.list() == []
