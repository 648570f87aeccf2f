"""No tenant reaches another's objects: every operation that the server says it serves, tried by everybody else.

The matrix is made from the served OpenAPI document, so that a new route is in it, or makes it fail by its name.
"""

import json
import time

import pytest
import pytest_asyncio

from harness.rest import Rest
from harness.routes import operations
from harness.tenant import USERS, Tenant
from harness.tokens import token

pytestmark = pytest.mark.topologies("embedded", "cluster")

PUBLIC = {
    "CreateDemoToken",
    "FetchDemo",
    "FetchDemoScript",
    "FetchDocs",
    "FetchHealth",
    "FetchMetrics",
    "FetchOpenApi",
    "FetchReadiness",
    "FetchSdk",
    "FetchSdkScript",
    "ReportRecipientStatus",
}
# What moves by itself, or by the reading of it.
VOLATILE = {"date_last_used", "is_online"}
OUTSIDE = (401, 404)
# Ends the credentials that all others are tried with, and needs a secondary token.
LAST = ("UpdateAuthTokenPromotion",)


@pytest.fixture(scope="module")
def document(shared_cluster):
    door = Rest(shared_cluster.api)
    answer = door.get("/openapi.json")
    door.close()
    assert answer.status_code == 200
    return answer.json()


@pytest_asyncio.fixture
async def victim(cluster, document, receiver):
    return await Tenant(cluster, document["paths"], "the victim").furnish(receiver)


@pytest_asyncio.fixture
async def stranger(cluster, document, receiver):
    return await Tenant(cluster, document["paths"], "the stranger").furnish(receiver)


def guarded(document):
    return [operation for operation in operations(document) if not operation.is_public]


def outsiders(cluster, victim, stranger):
    """name → a door for somebody who has no business with the victim."""
    api = cluster.api
    service = victim.service.name
    sub = victim.rest.post("/2010-04-01/Accounts.json", {"FriendlyName": "of the victim"}).json()
    path = f"/2010-04-01/Accounts/{victim.sid}/Keys.json"
    deleted = victim.rest.post(path, {"FriendlyName": "deleted"}).json()
    assert victim.rest.delete(f"/2010-04-01/Accounts/{victim.sid}/Keys/{deleted['sid']}.json").status_code == 204
    scoped = victim.rest.post(path, {"ServiceSid": victim.service.sibling.name}).json()
    now = int(time.time())

    def bearer(tenant, service_sid, key=None, account_sid=None, **parts):
        made = token(account_sid or tenant.sid, key or tenant.key, service_sid, identity=USERS[0], **parts)
        return Rest(api, bearer=made)

    return {
        "a foreign account": stranger.rest,
        "a foreign account's key": Rest(api, (stranger.key["sid"], stranger.key["secret"])),
        "a sub-account": Rest(api, (sub["sid"], sub["auth_token"])),
        "another service's user": bearer(victim, victim.service.sibling.name),
        "a foreign account's user": bearer(stranger, stranger.service.name),
        "a key of another service": Rest(api, (scoped["sid"], scoped["secret"])),
        "nobody": Rest(api),
        "a wrong auth token": Rest(api, (victim.sid, stranger.auth_token)),
        "an empty auth token": Rest(api, (victim.sid, "")),
        "a wrong key secret": Rest(api, (victim.key["sid"], stranger.key["secret"])),
        "a deleted key": Rest(api, (deleted["sid"], deleted["secret"])),
        "a key's name with the auth token": Rest(api, (victim.key["sid"], victim.auth_token)),
        "an unknown account": Rest(api, (f"AC{0:032x}", victim.auth_token)),
        "a token for the victim by a foreign key": bearer(stranger, service),
        "a token for the victim by a foreign key in its account": bearer(stranger, service, account_sid=victim.sid),
        "a token that names the key, signed with another": bearer(victim, service, secret=stranger.key["secret"]),
        "a token signed with nothing": bearer(victim, service, secret=""),
        "a token signed with the auth token": bearer(victim, service, secret=victim.auth_token),
        "an unsigned token": bearer(victim, service, algorithm="none", secret=""),
        "a token of a deleted key": bearer(victim, service, key=deleted),
        "an expired token": bearer(victim, service, exp=now - 3600),
        "a token without an end": bearer(victim, service, exp=None),
        "a token that begins tomorrow": bearer(victim, service, nbf=now + 86_400, exp=now + 90_000),
        "a token for days": bearer(victim, service, exp=now + 3 * 86_400),
        "a token without grants": bearer(victim, service, grants={}),
        "a token for no service": bearer(victim, f"IS{0:032x}"),
        "nonsense": Rest(api, bearer="nonsense"),
        "a basic header with nonsense": Rest(api, ("nonsense", "")),
    }


def call(door, operation, url, n):
    return door.http.request(operation.method, url, **operation.payload(n))


def without_volatile(value):
    if isinstance(value, dict):
        return {name: without_volatile(inner) for name, inner in value.items() if name not in VOLATILE}
    return [without_volatile(inner) for inner in value] if isinstance(value, list) else value


def state_of(tenant, document):
    """Everything that the tenant can read of itself."""
    state = {}
    for operation in guarded(document):
        if operation.method == "GET":
            url = operation.at(operation.chain(tenant))
            answer = tenant.rest.get(url)
            assert answer.status_code == 200, f"{operation} at {url}: {answer.text}"
            if not answer.headers["content-type"].startswith("application/json"):
                state[url] = answer.text
                continue
            told = answer.json()
            if operation.name == "ListEvent":
                del told["after"]  # It knows when it was given.
            state[url] = without_volatile(told)
    return state


def sids_of(tenant):
    """Every name in the tenant's tree."""
    found, left = set(), [tenant.account, *tenant.below.values()]
    while left:
        thing = left.pop()
        if thing.name not in found:
            found.add(thing.name)
            left += [*thing.below.values(), *([thing.sibling] if thing.sibling else [])]
    return found


def is_above_services(operation):
    """Whether it is about the account, or about a service as the account's own."""
    return not operation.path.startswith("/v2/Services/{ServiceSid}/")


def mixtures(operation, chain):
    """The path with the beginning of one tree and the rest of another: it never names anything."""
    if operation.method == "PUT":
        return  # It takes a name, which every parent is free to use.
    for position, thing in enumerate(chain[:-1]):
        if not thing.sibling:
            continue
        if operation.collections[position : position + 2] == ["Users", "Channels"]:
            continue  # A user and a channel of one service are no parent and child: any two go together.
        yield [*chain[:position], thing.sibling, *chain[position + 1 :]]


def test_only_what_is_for_operators_is_open(document):
    assert {operation.name for operation in operations(document) if operation.is_public} == PUBLIC


async def test_nobody_else_reaches_or_changes_a_tenants_objects(cluster, document, victim, stranger):
    everybody = outsiders(cluster, victim, stranger)
    before = state_of(victim, document)
    # A sub-account knows who owns it, and "sms" is a provider's name everywhere.
    private = sids_of(victim) - {victim.sid, "sms"}
    wrong, tried = [], 0
    for operation in guarded(document):
        chain = operation.chain(victim)
        url = operation.at(chain)
        for number, (who, door) in enumerate(everybody.items()):
            own_place = not chain and who in ("a foreign account", "a foreign account's key", "a sub-account")
            if own_place and operation.method != "GET":
                continue  # It names no tenant: this one works on its own account, as it may.
            answer = call(door, operation, url, number)
            tried += 1
            if own_place:
                leaked = [sid for sid in private if sid in answer.text]
                if answer.status_code not in (200, 401, 403, 404) or leaked:
                    wrong.append(f"{operation} by {who}: {answer.status_code}, and it tells of {leaked}")
            elif who == "a key of another service" and is_above_services(operation):
                # Its own account's: its scope is named, or the one service is all that it sees.
                if answer.status_code not in (401, 403, 404) and (chain or victim.service.name in answer.text):
                    wrong.append(f"{operation} by {who}: {answer.status_code} {answer.text[:200]}")
            elif answer.status_code not in OUTSIDE:
                wrong.append(f"{operation} by {who}: {answer.status_code} {answer.text[:200]}")
    assert not wrong, f"{len(wrong)} of {tried}:\n" + "\n".join(wrong)
    changed = differences(before, state_of(victim, document))
    assert not changed, "\n".join(changed)


async def test_no_path_mixes_one_parent_with_another_ones_child(document, victim, stranger):
    victim.account.sibling = stranger.account
    before = state_of(victim, document)
    wrong, tried = [], 0
    for operation in guarded(document):
        chain = operation.chain(victim)
        if "/Providers/" in operation.path:
            continue  # Every service has providers of these names: whose they are is told by the service alone.
        for mixed in mixtures(operation, chain):
            url = operation.at(mixed)
            answer = call(victim.rest, operation, url, 0)
            tried += 1
            if answer.status_code != 404:
                wrong.append(f"{operation} at {url}: {answer.status_code} {answer.text[:200]}")
    assert tried
    assert not wrong, f"{len(wrong)} of {tried}:\n" + "\n".join(wrong)
    changed = differences(before, state_of(victim, document))
    assert not changed, "\n".join(changed)


async def test_no_parameter_takes_what_is_another_tenants(document, victim, stranger):
    """A SID in a body is looked for in the tenant, as one in a path is."""
    foreign = {
        "RoleSid": stranger.service.below["Roles"].name,
        "AudienceSid": stranger.service.below["Audiences"].name,
        "PoolSid": stranger.service.below["OperatorPools"].name,
        "CredentialSid": stranger.below["Credentials"].name,
        "ServiceSid": stranger.service.name,
        "MediaSid": "ME" + "0" * 32,
    }
    items = {
        "CreateMemberBatch": ("Items", "identity"),
        "CreateUserBatch": ("Items", "identity"),
        "FindOrCreateChannel": ("Members", "identity"),
    }
    # What filters an action is no mistake: it finds nothing, and the log says that it was looked for.
    filtered = {"RedeliverWebhookDelivery"}
    before = state_of(victim, document)
    wrong, tried = [], set()
    for operation in guarded(document):
        if operation.name in filtered:
            continue
        url = operation.at(operation.chain(victim))
        if operation.name == "SaveProvider":
            continue  # Its AccountSid is one at the provider.
        for field in (field for field in operation.fields if field.endswith("Sid") and not field.endswith("FlowSid")):
            kind = next((kind for kind in foreign if field.endswith(kind)), None)
            assert kind, f"no recipe for {field} of {operation}"
            answer = victim.rest.http.request(operation.method, url, data=operation.body(7) | {field: foreign[kind]})
            tried.add(operation.name)
            if answer.status_code not in (400, 404):
                wrong.append(f"{operation} with {field}: {answer.status_code} {answer.text[:200]}")
        if operation.name in items:
            field, name = items[operation.name]
            one = json.dumps([{name: "somebody new", "role_sid": foreign["RoleSid"]}])
            answer = victim.rest.http.request(operation.method, url, data={field: one})
            refused = [result["status"] for result in answer.json().get("results", [])] or [answer.status_code]
            tried.add(operation.name)
            if refused != [404]:
                wrong.append(f"{operation} with role_sid: {answer.status_code} {answer.text[:200]}")
    assert {"CreateMember", "CreateUser", "CreateInvite", "CreateUserBinding", "CreateNewKey", *items} <= tried
    assert not wrong, "\n".join(wrong)
    changed = differences(before, state_of(victim, document))
    assert not changed, "\n".join(changed)
    for field, sid in (
        ("ChannelSid", stranger.service.below["Channels"].name),
        ("TargetSid", stranger.service.below["WebhookEndpoints"].name),
        ("TargetSid", stranger.service.name),
    ):
        path = f"/v2/Services/{victim.service.name}/WebhookDeliveries/Redeliver"
        answer = victim.rest.post(path, {"Status": "delivered", field: sid})
        assert (answer.status_code, answer.json()["redelivered"]) == (200, 0), f"{field}: {answer.text}"


async def test_every_name_leads_to_what_its_sid_leads_to(document, victim):
    """Unique names and identities, slashes and percent signs included, wherever a path takes them."""
    tried = 0
    for operation in guarded(document):
        chain = operation.chain(victim)
        if operation.method != "GET" or not any(thing.alias for thing in chain):
            continue
        by_sid, by_name = (victim.rest.get(operation.at(chain, by_alias)) for by_alias in (False, True))
        assert by_sid.status_code == by_name.status_code == 200, f"{operation}: {by_name.text}"
        bodies = [{key: value for key, value in answer.json().items() if key != "meta"} for answer in (by_sid, by_name)]
        assert bodies[0] == bodies[1], operation
        tried += 1
    assert tried


@pytest.mark.parametrize("by_alias", [False, True], ids=["by SID", "by name"])
async def test_all_of_it_is_refused_to_strangers_only(document, victim, by_alias):
    """The same calls by their owner succeed: no recipe was refused for being a bad one."""

    def turn(pair):
        """Readers first; then writers; then deletions from the leaves up; last what ends the owner's credentials."""
        operation, _ = pair
        deletes = operation.method == "DELETE"
        method = ("GET", "PUT", "POST", "DELETE").index(operation.method)
        return operation.name in LAST, method, -deletes * len(operation.collections)

    calls = [(operation, operation.at(operation.chain(victim), by_alias)) for operation in guarded(document)]
    wrong = []
    for number, (operation, url) in enumerate(sorted(calls, key=turn)):
        if operation.name in LAST:
            assert victim.rest.post("/v1/AuthTokens/Secondary").status_code == 201
        answer = call(victim.rest, operation, url, number)
        if answer.status_code not in (200, 201, 204):
            wrong.append(f"{operation} at {url}: {answer.status_code} {answer.text[:200]}")
    assert not wrong, "\n".join(wrong)


def differences(before, after):
    assert before.keys() == after.keys()
    return [f"{url}:\n  {before[url]}\n  {after[url]}" for url in before if before[url] != after[url]]
