"""Filter and Sort over attributes: the same answer with an index, without one, and by the plainest reading."""

import json
import random

import pytest

from harness.chat import Chat
from harness.cluster import running
from harness.filters import in_order, matches
from harness.rest import Rest, error_of
from test_attribute_indexes import declared, is_ready

VALUES = [
    None, False, True, 0, -0.0, 1, 1.0, 1e2, 2.5, -3, 2**53, 2**53 + 1, "", "1", "a", "A", "é", "z" * 300, "z" * 299 + "y",
    "true", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2025-12-31T23:59:59Z", [], ["a", 1, None, ["x"]], ["b"],
    {}, {"deep": 1}, [True, "é"],
]
SCALARS = [value for value in VALUES if not isinstance(value, (list, dict))]
ORDERED = [value for value in SCALARS if value is not None and not isinstance(value, bool)]
PATHS = ["attributes.a", "attributes.ticket.priority", "attributes.größe", "attributes.when"]


def documents(count, seed):
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        document = {}
        for name in ("a", "größe", "when"):
            if chance.random() < 0.8:
                document[name] = chance.choice(VALUES)
        if chance.random() < 0.8:
            document["ticket"] = chance.choice([{"priority": chance.choice(VALUES)}, "no object", {}])
        made.append(document)
    return made


def conditions(chance):
    operator = chance.choice(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$contains", "$prefix", "$not"])
    match operator:
        case "$in" | "$nin":
            return {operator: chance.sample(SCALARS, 3)}
        case "$exists":
            return {operator: chance.random() < 0.5}
        case "$prefix":
            return {operator: chance.choice(["", "z", "zz", "2026", "A", "nothing"])}
        case "$gt" | "$gte" | "$lt" | "$lte":
            return {operator: chance.choice(ORDERED)}
        case "$contains":
            return {operator: chance.choice([value for value in SCALARS if value is not None])}
        case "$not":
            return {operator: conditions(chance)}
    return {operator: chance.choice(SCALARS)}


def filters(count, seed):
    chance = random.Random(seed)

    def one(depth):
        kind = chance.random()
        if depth < 2 and kind < 0.15:
            return {chance.choice(["$and", "$or"]): [one(depth + 1) for _ in range(2)]}
        if depth < 2 and kind < 0.25:
            return {"$not": one(depth + 1)}
        return {path: conditions(chance) for path in chance.sample(PATHS, chance.choice([1, 1, 2]))}

    return [one(0) for _ in range(count)]


def pages(chat, path, key, size=100, **asked):
    """Every item of a list, page after page, in both directions."""
    query = {name: json.dumps(value) if isinstance(value, (dict, list)) else value for name, value in asked.items()}
    answer = chat.rest.get(path, PageSize=size, **query)
    items, turns = [], 0
    while True:
        assert answer.status_code == 200, answer.text
        page = answer.json()
        items += page[key]
        following, turns = page["meta"]["next_page_url"], turns + 1
        if not following:
            break
        assert turns < 100
        answer = chat.rest.http.get(following)
    back = []
    while True:
        back = page[key] + back
        if not (before := page["meta"]["previous_page_url"]):
            break
        page = chat.rest.http.get(before).json()
    assert [item["sid"] for item in back] == [item["sid"] for item in items], "backward is forward"
    return items


class Furnished:
    """One resource with documents as attributes, in the order of their making."""

    def __init__(self, chat, resource, made):
        self.chat, self.resource, self.documents = chat, resource, made
        self.key = resource
        items = [{"attributes": json.dumps(document)} for document in made]
        if resource == "channels":
            self.path = f"{chat.path}/Channels"
            for item in items:
                assert chat.rest.post(self.path, {"Attributes": item["attributes"]}).status_code == 201
            return
        if resource != "users":
            chat.service.update(limits_channel_members=1000)
            chat.channel("room")
        self.path = f"{chat.path}/Users" if resource == "users" else f"{chat.path}/Channels/room/{resource.title()}"
        named = {"messages": "body"}.get(resource, "identity")
        items = [{named: f"item {place}", **item} for place, item in enumerate(items)]
        results = chat.rest.post(f"{self.path}/Batch", json={"Items": items}).json()["results"]
        assert all(result["status"] == 201 for result in results), results

    def places(self, **asked):
        """The places of the documents that are answered."""
        order = [item["sid"] for item in self.all]
        return [order.index(item["sid"]) for item in pages(self.chat, self.path, self.key, **asked)]

    def learn(self):
        self.all = pages(self.chat, self.path, self.key)
        assert [json.loads(item["attributes"]) for item in self.all] == self.documents


@pytest.mark.topologies("embedded", "cluster")
@pytest.mark.parametrize("resource", ["channels", "users", "members", "messages"])
async def test_an_index_changes_no_answer(chat, resource):
    listed = Furnished(chat, resource, documents(120, f"{resource} documents"))
    listed.learn()
    asked = filters(40, f"{resource} filters")
    sorts = [
        [{"attributes.a": 1}],
        [{"attributes.a": -1}],
        [{"attributes.ticket.priority": -1}, {"attributes.größe": 1}],
        [{"attributes.größe": 1}, {"attributes.a": -1}, {"attributes.when": 1}],
    ]

    def check(instants):
        for wanted in asked:
            expected = [place for place, one in enumerate(listed.documents) if matches(one, wanted, instants)]
            assert sorted(listed.places(Filter=wanted)) == expected, wanted
        for sort in sorts:
            assert listed.places(Sort=sort, size=17) == in_order(listed.documents, sort, instants), sort
        for wanted, sort in zip(asked[::5], sorts * 2):
            expected = [
                place for place in in_order(listed.documents, sort, instants) if matches(listed.documents[place], wanted, instants)
            ]
            assert listed.places(Filter=wanted, Sort=sort, size=7) == expected, (wanted, sort)

    check(instants=())
    indexes = [declared(chat, resource, path.removeprefix("attributes."), "string") for path in PATHS[:3]]
    await is_ready(chat, *indexes)
    check(instants=())
    await is_ready(chat, declared(chat, resource, "when", "datetime"))
    check(instants=("when",))


async def test_own_fields_are_asked_like_attributes(chat):
    for name, kind, creator in [("one", "public", "alice"), ("two", "private", "bob"), ("three", "private", "alice")]:
        chat.service.channels.create(
            unique_name=name, friendly_name=name.title(), type=kind, created_by=creator, attributes=json.dumps({"n": len(name)})
        )
    chat.service.channels("two").members.create(identity="carol")

    def names(**asked):
        return [channel["unique_name"] for channel in pages(chat, f"{chat.path}/Channels", "channels", **asked)]

    assert names(Filter={}) == ["one", "two", "three"], "with Filter both types are listed"
    assert names(Filter={"type": "private"}) == ["two", "three"]
    assert names(Filter={"type": "private"}, Type="public") == []
    assert names(Filter={"created_by": "alice", "attributes.n": {"$gt": 3}}) == ["three"]
    assert names(Filter={"unique_name": {"$prefix": "t"}}, Sort=[{"unique_name": 1}]) == ["three", "two"]
    assert names(Filter={"members_count": {"$gte": 1}}) == ["two"]
    created = chat.rest.get(f"{chat.path}/Channels/one").json()["date_created"]
    assert "one" in names(Filter={"date_created": {"$lte": created}})
    assert names(Filter={"date_created": {"$lt": "2020-01-01T00:00:00Z"}}) == []
    assert names(Sort=[{"friendly_name": -1}], Type="private") == ["two", "three"]

    sent = chat.rest.post(f"{chat.path}/Channels/two/Messages/Batch", json={
        "Items": [{"body": f"line {n}", "from": "alice" if n % 2 else "bob"} for n in range(6)]
    }).json()["results"]
    chat.rest.delete(f"{chat.path}/Channels/two/Messages/{sent[1]['resource']['sid']}")
    mine = pages(chat, f"{chat.path}/Channels/two/Messages", "messages", Filter={"from": "alice"}, Sort=[{"index": -1}])
    assert [message["index"] for message in mine] == [5, 3]
    users = pages(chat, f"{chat.path}/Users", "users", Filter={"joined_channels_count": 1})
    assert [user["identity"] for user in users] == ["carol"]


async def test_a_user_finds_no_more_than_it_may_see(chat):
    for name, kind in [("open", "public"), ("mine", "private"), ("hidden", "private")]:
        chat.channel(name, type=kind, attributes='{"x":1}')
    chat.service.channels("mine").members.create(identity="alice")
    alice = chat.bearer("alice")
    wanted = {"Filter": json.dumps({"attributes.x": 1})}
    seen = alice.get(f"{chat.path}/Channels", **wanted).json()["channels"]
    assert [channel["unique_name"] for channel in seen] == ["open", "mine"]
    await is_ready(chat, declared(chat, "channels", "x"))
    seen = alice.get(f"{chat.path}/Channels", **wanted).json()["channels"]
    assert [channel["unique_name"] for channel in seen] == ["open", "mine"]
    error_of(alice.get(f"{chat.path}/Channels/hidden/Messages", **wanted), 403, 50400)
    error_of(alice.get(f"{chat.path}/Channels/hidden/Members", **wanted), 403, 50400)


DEEP = {"attributes.x": 1}
for _ in range(6):
    DEEP = {"$not": DEEP}


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("Filter", "nonsense", "Filter"),
        ("Filter", "[]", "Filter"),
        ("Filter", '"x"', "Filter"),
        ("Filter", {"nothing": 1}, "nothing"),
        ("Filter", {"attributes": 1}, "attributes"),
        ("Filter", {"attributes.": 1}, "attributes."),
        ("Filter", {"attributes.a'; DROP TABLE users; --": 1}, "attributes.a'"),
        ("Filter", {"attributes.a..b": 1}, "attributes.a..b"),
        ("Filter", {"attributes.$where": 1}, "$where"),
        ("Filter", {"attributes." + "x" * 65: 1}, "x" * 65),
        ("Filter", {"attributes.1.2.3.4.5.6.7.8.9": 1}, "1.2.3"),
        ("Filter", {"attributes.a": {"$near": 1}}, "$near"),
        ("Filter", {"attributes.a": {"$in": []}}, "attributes.a"),
        ("Filter", {"attributes.a": {"$in": list(range(101))}}, "attributes.a"),
        ("Filter", {"attributes.a": {"$in": [[1]]}}, "attributes.a"),
        ("Filter", {"attributes.a": {"$eq": {"b": 1}}}, "attributes.a"),
        ("Filter", {"attributes.a": {"$gt": True}}, "attributes.a"),
        ("Filter", {"attributes.a": {"$gt": None}}, "attributes.a"),
        ("Filter", {"attributes.a": {"$exists": 1}}, "attributes.a"),
        ("Filter", {"attributes.a": {"$prefix": 1}}, "attributes.a"),
        ("Filter", {"$and": []}, "$and"),
        ("Filter", {"$or": {}}, "$or"),
        ("Filter", {"$or": [{"attributes.a": n} for n in range(101)]}, "Filter"),
        ("Filter", DEEP, "Filter"),
        ("Filter", {"date_created": {"$gt": "yesterday"}}, "date_created"),
        ("Sort", "nonsense", "Sort"),
        ("Sort", {"attributes.a": 1}, "Sort"),
        ("Sort", [], "Sort"),
        ("Sort", [{"attributes.a": 2}], "Sort"),
        ("Sort", [{"attributes.a": 1, "attributes.b": 1}], "Sort"),
        ("Sort", [{"attributes.a": 1}] * 4, "Sort"),
        ("Sort", [{"nothing": 1}], "Sort"),
    ],
)
@pytest.mark.topologies("embedded")
def test_what_cannot_be_asked_is_refused_by_its_name(chat, name, value, named):
    text = value if isinstance(value, str) else json.dumps(value)
    message = error_of(chat.rest.get(f"{chat.path}/Users", **{name: text}), 400, 20001)
    assert named in message, message


@pytest.mark.topologies("embedded", "cluster")
async def test_a_page_belongs_to_its_question_and_keeps_it(chat):
    items = [{"identity": f"u{n}", "attributes": json.dumps({"n": n})} for n in range(9)]
    chat.rest.post(f"{chat.path}/Users/Batch", json={"Items": items})
    asked = {"Filter": '{"attributes.n": {"$gte": 2}}', "Sort": '[{"attributes.n": -1}]', "PageSize": 3}
    first = chat.rest.get(f"{chat.path}/Users", **asked).json()
    assert [user["identity"] for user in first["users"]] == ["u8", "u7", "u6"]
    assert "Filter=" in first["meta"]["next_page_url"] and "Sort=" in first["meta"]["next_page_url"]
    # Stable under what is added and taken away meanwhile.
    chat.rest.post(f"{chat.path}/Users", {"Identity": "late", "Attributes": '{"n": 100}'})
    chat.rest.delete(f"{chat.path}/Users/u6")
    second = chat.rest.http.get(first["meta"]["next_page_url"]).json()
    assert [user["identity"] for user in second["users"]] == ["u5", "u4", "u3"]
    token = dict(pair.split("=") for pair in second["meta"]["next_page_url"].split("?")[1].split("&"))["PageToken"]
    for other in ({**asked, "Filter": '{"attributes.n": {"$gte": 1}}'}, {**asked, "Sort": '[{"attributes.n": 1}]'}, {}):
        message = error_of(chat.rest.get(f"{chat.path}/Users", **other, PageToken=token), 400, 20001)
        assert "PageToken" in message


async def test_explain_tells_the_index(chat):
    items = [{"identity": f"u{n}", "attributes": json.dumps({"n": n % 3})} for n in range(30)]
    chat.rest.post(f"{chat.path}/Users/Batch", json={"Items": items})
    asked = {"Filter": '{"attributes.n": 1}', "Explain": "true"}
    before = chat.rest.get(f"{chat.path}/Users", **asked).json()
    assert before["explain"]["index"] is None and before["explain"]["plan"] == "scan"
    index = declared(chat, "users", "n")
    await is_ready(chat, index)
    after = chat.rest.get(f"{chat.path}/Users", **asked).json()
    assert after["explain"]["index"] == index["sid"] and after["explain"]["plan"] == "index"
    assert after["users"] == before["users"] and len(after["users"]) == 10
    assert "explain" not in chat.rest.get(f"{chat.path}/Users", Filter=asked["Filter"]).json()


@pytest.mark.parametrize("topology", ["embedded", "cluster"])
async def test_over_the_budget_the_index_to_declare_is_named_and_helps(tmp_path, driver, topology):
    with running(topology, tmp_path, HUBBUB_SCAN_BUDGET="50") as cluster:
        chat = Chat(cluster, driver, "budget")
        items = [{"identity": f"u{n}", "attributes": json.dumps({"n": n, "t": ["x"]})} for n in range(60)]
        chat.rest.post(f"{chat.path}/Users/Batch", json={"Items": items})
        for asked in (
            {"Filter": '{"attributes.n": {"$gte": 58}}'},
            {"Sort": '[{"attributes.n": -1}]'},
            {"Filter": '{"attributes.n": {"$contains": "x"}}'},
        ):
            message = error_of(chat.rest.get(f"{chat.path}/Users", **asked), 400, 20001)
            assert "AttributeIndexes" in message and "Path=n" in message and "50" in message, message
        assert len(pages(chat, f"{chat.path}/Users", "users", Filter={"identity": {"$prefix": "u1"}})) == 11
        await is_ready(chat, declared(chat, "users", "n"))
        found = pages(chat, f"{chat.path}/Users", "users", Filter={"attributes.n": {"$gte": 58}})
        assert [user["identity"] for user in found] == ["u58", "u59"]
        found = pages(chat, f"{chat.path}/Users", "users", Sort=[{"attributes.n": -1}])
        assert [user["identity"] for user in found] == [f"u{n}" for n in range(59, -1, -1)]
        await chat.close()


async def test_changes_are_found_at_once(chat):
    await is_ready(chat, declared(chat, "channels", "state", "string"), declared(chat, "users", "state", "string"))
    chat.channel("ticket", "alice", attributes='{"state":"open"}')
    wanted = {"Filter": '{"attributes.state": "closed"}'}

    def found():
        return [channel["unique_name"] for channel in chat.rest.get(f"{chat.path}/Channels", **wanted).json()["channels"]]

    assert found() == []
    chat.service.channels("ticket").update(attributes='{"state":"closed"}')
    assert found() == ["ticket"]
    chat.service.channels("ticket").delete()
    assert found() == []
    alice = await chat.person("alice")
    await alice.asks("updateUser", attributes='{"state":"closed"}')
    assert [user["identity"] for user in chat.rest.get(f"{chat.path}/Users", **wanted).json()["users"]] == ["alice"]
