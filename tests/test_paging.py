"""Every list, longer than a page, through both of Twilio's libraries; and lists that change while they are read."""

import asyncio
import concurrent.futures
import itertools
import json
import urllib.parse

import pytest

from harness.chat import twilio_client
from harness.node import ROOT
from harness.rest import Rest

# The databases differ; how the roles are spread over processes makes no difference to lists.
pytestmark = pytest.mark.topologies("embedded", "cluster")

MANY = 123
LIMIT = 60
SMALL = 7


class Lists:
    """An account of its own with many of everything. `sids` has what each list has to give, in the order of making."""

    def __init__(self, cluster):
        parent = Rest(cluster.api, (cluster.account_sid, cluster.auth_token))
        account = self._made(parent.post("/2010-04-01/Accounts.json", {"FriendlyName": "many"}))
        parent.close()
        self.credentials = (account["sid"], account["auth_token"])
        self.rest = Rest(cluster.api, self.credentials)
        self.service = self._made(self.rest.post("/v2/Services", {"FriendlyName": "many"}))["sid"]
        self.path = f"/v2/Services/{self.service}"
        self._fill()

    @staticmethod
    def _made(answer):
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def _many(self, path, form, count=MANY):
        """Makes many, four at a time; the SIDs in the order in which they are listed, oldest first."""

        def one(number):
            return self._made(self.rest.post(path, form(number)))

        with concurrent.futures.ThreadPoolExecutor(4) as hands:
            return [made["sid"] for made in hands.map(one, range(count))]

    def _fill(self):
        self._made(self.rest.post(self.path, {"Limits.ChannelMembers": 1000, "Limits.UserChannels": 1000}))
        general = self._made(self.rest.post(f"{self.path}/Channels", {"UniqueName": "general"}))["sid"]
        below = f"{self.path}/Channels/general"
        users = self._many(f"{self.path}/Users", lambda n: {"Identity": f"user {n}"})
        channels = self._many(
            f"{self.path}/Channels", lambda n: {"UniqueName": f"c{n}", "Type": ("public", "private")[n % 2]}
        )
        roles = [role["sid"] for role in self.rest.get(f"{self.path}/Roles").json()["roles"]]
        fcm = self._made(self.rest.post("/v2/Credentials", {"Type": "fcm", "Secret": "x"}))["sid"]
        self.sids = {
            "services": [self.service] + self._many("/v2/Services", lambda n: {"FriendlyName": str(n)}),
            "credentials": [fcm] + self._many("/v2/Credentials", lambda n: {"Type": "fcm", "Secret": "x"}),
            "roles": roles
            + self._many(
                f"{self.path}/Roles", lambda n: {"FriendlyName": str(n), "Type": "channel", "Permission": "sendMessage"}
            ),
            "users": users,
            "public": [general] + channels[::2],
            "channels": [general] + channels,
            "messages": self._many(f"{below}/Messages", lambda n: {"Body": str(n)}),
            "webhooks": self._many(
                f"{below}/Webhooks", lambda n: {"Type": "studio", "Configuration.FlowSid": f"FW{n:032x}"}, 5
            ),
            "bindings": self._many(
                f"{self.path}/Users/user%200/Bindings",
                lambda n: {"BindingType": ("apn", "fcm")[n % 2], "Endpoint": f"device {n}", "Address": str(n)},
            ),
            # Everybody is a member of `general` or invited to it, and user 0 is a member of every other channel.
            "members": self._many(f"{below}/Members", lambda n: {"Identity": f"user {n}"}),
            "invites": self._many(f"{self.path}/Channels/c0/Invites", lambda n: {"Identity": f"user {n}"}),
        }
        with concurrent.futures.ThreadPoolExecutor(4) as hands:
            joined = hands.map(
                lambda sid: self._made(self.rest.post(f"{self.path}/Channels/{sid}/Members", {"Identity": "user 0"})),
                channels[1:],
            )
            assert len(list(joined)) == MANY - 1
        # A member of `general` and of all but c0, to which user 0 is invited.
        self.sids["user_channels"] = [general] + channels
        self.sids["apn"] = self.sids["bindings"][::2]


@pytest.fixture(scope="module")
def lists(shared_cluster):
    """Filled once a topology: making a thousand things takes a while."""
    return Lists(shared_cluster)


def asked_in_python(cluster, lists):
    """name → the list function of the library."""
    chat = twilio_client(cluster, *lists.credentials).chat.v2
    service = chat.services(lists.service)
    general = service.channels("general")
    user = service.users("user 0")
    return {
        "services": (chat.services, {}),
        "credentials": (chat.credentials, {}),
        "roles": (service.roles, {}),
        "users": (service.users, {}),
        "public": (service.channels, {}),
        "channels": (service.channels, {"type": ["public", "private"]}),
        "messages": (general.messages, {"order": "asc"}),
        "webhooks": (general.webhooks, {}),
        "members": (general.members, {}),
        "invites": (service.channels("c0").invites, {}),
        "bindings": (service.bindings, {}),
        "apn": (service.bindings, {"binding_type": ["apn"], "identity": ["user 0", "nobody"]}),
        "user_bindings": (user.user_bindings, {}),
        "user_channels": (user.user_channels, {}),
    }


def test_python_pages_through_every_list(cluster, lists):
    for name, (resource, filters) in asked_in_python(cluster, lists).items():
        expected = sorted(lists.sids["bindings" if name == "user_bindings" else name])
        few = 3 if name == "webhooks" else LIMIT

        def sids(found):
            return [item.channel_sid if name == "user_channels" else item.sid for item in found]

        whole = sids(resource.list(**filters))
        assert sorted(whole) == expected, name
        assert sids(resource.list(page_size=SMALL, **filters)) == whole, name
        assert sids(resource.list(limit=few, **filters)) == whole[:few], name
        assert sids(resource.list(limit=5000, **filters)) == whole, f"{name}: a size is clamped, not refused"
        assert sids(resource.stream(page_size=SMALL, **filters)) == whole, name
        assert sids(itertools.islice(resource.stream(limit=few, page_size=SMALL, **filters), 200)) == whole[:few], name


async def test_node_pages_through_every_list(cluster, lists):
    account_sid, auth_token = lists.credentials
    task = {
        "url": cluster.api,
        "accountSid": account_sid,
        "authToken": auth_token,
        "serviceSid": lists.service,
        "small": SMALL,
        "limit": LIMIT,
    }
    walk = await asyncio.create_subprocess_exec(
        "node",
        str(ROOT / "tests" / "node" / "paging.mjs"),
        json.dumps(task),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await asyncio.wait_for(walk.communicate(), 60)
    assert walk.returncode == 0
    answers = json.loads(said)
    assert set(answers) == set(asked_in_python(cluster, lists))
    for name, found in answers.items():
        expected = sorted(lists.sids["bindings" if name == "user_bindings" else name])
        few = 3 if name == "webhooks" else LIMIT
        assert sorted(found["whole"]) == expected, name
        assert found["small"] == found["clamped"] == found["each"] == found["whole"], name
        assert found["limited"] == found["eachLimited"] == found["whole"][:few], name


# --- lists that change


def pages(rest, path, key, between, size=SMALL, **query):
    """Reads page by page, and has `between` change things after each one."""
    answer = rest.get(path, PageSize=size, **query)
    found = []
    while True:
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += [item.get("sid") or item["channel_sid"] for item in page[key]]
        if not page["meta"]["next_page_url"]:
            return found
        between(len(found))
        answer = rest.http.get(page["meta"]["next_page_url"])


# name → (path below the service, key, form of one more, name of one to address it by)
CHANGING = {
    "users": ("Users", "users", lambda n: {"Identity": f"late {n}"}, {}),
    "channels": ("Channels", "channels", lambda n: {"UniqueName": f"late {n}"}, {"Type": ["public", "private"]}),
    "roles": (
        "Roles",
        "roles",
        lambda n: {"FriendlyName": f"late {n}", "Type": "channel", "Permission": "sendMessage"},
        {},
    ),
    "members": ("Channels/general/Members", "members", lambda n: {"Identity": f"late {n}"}, {}),
    "invites": ("Channels/general/Invites", "invites", lambda n: {"Identity": f"guest {n}"}, {}),
    "messages": ("Channels/general/Messages", "messages", lambda n: {"Body": f"late {n}"}, {}),
    "messages, newest first": (
        "Channels/general/Messages",
        "messages",
        lambda n: {"Body": f"late {n}"},
        {"Order": "desc"},
    ),
    "bindings": (
        "Users/alice/Bindings",
        "bindings",
        lambda n: {"BindingType": "fcm", "Endpoint": f"late {n}", "Address": "x"},
        {},
    ),
}


@pytest.mark.parametrize("name", CHANGING)
def test_a_list_that_changes_while_it_is_read_repeats_and_loses_nothing(chat, name):
    path, key, form, query = CHANGING[name]
    path = f"{chat.path}/{path}"
    chat.channel("general")
    for identity in ("alice", *(f"guest {number}" for number in range(60))):
        if name in ("invites", "bindings"):
            assert chat.rest.post(f"{chat.path}/Users", {"Identity": identity}).status_code == 201
    number = itertools.count()

    def add():
        answer = chat.rest.post(path, form(next(number)))
        assert answer.status_code == 201, answer.text
        return answer.json()["sid"]

    there = [add() for _ in range(40)]
    gone = []

    def change(seen):
        """One more at the end, one less of those that were read, one less of those that were not."""
        add()
        for position in (seen - 2, seen + 3):
            if 0 <= position < len(there) and there[position] not in gone:
                assert chat.rest.delete(f"{path}/{there[position]}").status_code == 204
                gone.append(there[position])

    found = pages(chat.rest, path, key, change, **query)
    assert len(gone) >= 4
    assert len(found) == len(set(found)), f"{name}: something came twice"
    stayed = [sid for sid in there if sid not in gone]
    if query.get("Order") == "desc":
        stayed.reverse()
    assert [sid for sid in found if sid in set(stayed)] == stayed, f"{name}: something was left out"


def test_a_neighbour_keeps_every_filter(lists):
    for path, query in [
        ("Channels", {"Type": ["private"]}),
        ("Channels/general/Members", {"Identity": [f"user {n}" for n in range(20)]}),
        ("Channels/c0/Invites", {"Identity": [f"user {n}" for n in range(20)]}),
        ("Channels/general/Messages", {"Order": "desc"}),
        ("Bindings", {"BindingType": ["apn", "gcm"], "Identity": ["user 0"]}),
        ("Users/user%200/Bindings", {"BindingType": ["apn"]}),
    ]:
        page = lists.rest.get(f"{lists.path}/{path}", PageSize=SMALL, **query).json()
        meta = lists.rest.http.get(page["meta"]["next_page_url"]).json()["meta"]
        for name in ("url", "first_page_url", "previous_page_url", "next_page_url"):
            asked = urllib.parse.parse_qs(urllib.parse.urlsplit(meta[name]).query, strict_parsing=True)
            for key, value in query.items():
                assert asked[key] == ([value] if isinstance(value, str) else value), f"{path}: {name} {meta[name]}"


def test_sizes_are_clamped_to_each_lists_own_maximum(lists):
    for path, maximum in [
        ("/v2/Services", 100),
        ("/v2/Credentials", 1000),
        (f"{lists.path}/Roles", 100),
        (f"{lists.path}/Users", 100),
        (f"{lists.path}/Channels", 100),
        (f"{lists.path}/Bindings", 50),
        (f"{lists.path}/Users/user%200/Bindings", 50),
        (f"{lists.path}/Users/user%200/Channels", 50),
        (f"{lists.path}/Channels/general/Members", 100),
        (f"{lists.path}/Channels/general/Messages", 100),
        (f"{lists.path}/Channels/c0/Invites", 100),
        (f"{lists.path}/Channels/general/Webhooks", 5),
    ]:
        meta = lists.rest.get(path, PageSize=100_000).json()["meta"]
        assert meta["page_size"] == maximum, path
        assert "PageSize=100000" in meta["url"] and f"PageSize={maximum}" in meta["first_page_url"], meta
        meta = lists.rest.get(path).json()["meta"]
        assert meta["page_size"] == min(50, maximum), path
