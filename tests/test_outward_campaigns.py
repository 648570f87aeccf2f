"""Campaigns by SMS and e-mail, against servers that speak the real protocols and fail as real ones do: everybody is
accounted for, and nobody gets a message twice."""

import contextlib
import json

import httpx
import pytest

from harness import mail_server, sms_provider
from harness.chat import Chat
from harness.cluster import Cluster
from harness.mail_server import MailServer
from harness.sms_provider import SmsProvider
from harness.waiting import eventually
from test_providers import email_settings

TOPOLOGIES = ("embedded", "cluster")
# A call that was made and not answered is looked into when it must have ended.
FOUND_OUT = 75


@contextlib.contextmanager
def reachable(topology, folder):
    """A cluster that providers can call back."""
    cluster = Cluster(topology, folder)
    for node in cluster.nodes:
        node.settings["HUBBUB_PUBLIC_URL"] = f"http://127.0.0.1:{cluster.nodes[0].port}"
    try:
        yield cluster.start()
    except BaseException:
        for node in cluster.nodes:
            print(f"--- {node.name}\n{node.log_tail()}")
        raise
    finally:
        cluster.stop()


@pytest.fixture
def sms():
    made = SmsProvider()
    yield made
    made.close()


@pytest.fixture
def mail():
    made = MailServer()
    yield made
    made.close()


def number(n):
    return f"+1500555{n:04}"


class Outreach:
    """The campaigns of one service."""

    def __init__(self, cluster, driver, name):
        self.chat = Chat(cluster, driver, name)
        self.rest, self.path = self.chat.rest, self.chat.path

    def posts(self, path, form, status=(200, 201)):
        answer = self.rest.post(f"{self.path}/{path}", form)
        assert answer.status_code in status, f"{path}: {answer.text}"
        return answer.json()

    def gets(self, path, **query):
        answer = self.rest.get(f"{self.path}/{path}", **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def users(self, attributes_of):
        """Users by identity, with these attributes."""
        items = [
            {"identity": identity, "friendly_name": identity.title(), "attributes": json.dumps(attributes)}
            for identity, attributes in attributes_of.items()
        ]
        for start in range(0, len(items), 100):
            answer = self.rest.post(f"{self.path}/Users/Batch", json={"Items": items[start : start + 100]})
            assert answer.status_code in (200, 201, 207), answer.text

    def starts(self, **parts):
        made = self.posts("Campaigns", {"FriendlyName": "outward", "Mode": "broadcast", **parts})
        self.posts(f"Campaigns/{made['sid']}", {"Status": "running"})
        return made["sid"]

    def shows(self, sid):
        return self.gets(f"Campaigns/{sid}")

    def recipients(self, sid):
        found, query = [], {"PageSize": 100}
        page = self.gets(f"Campaigns/{sid}/Recipients", **query)
        while True:
            found += page["recipients"]
            if not page["meta"]["next_page_url"]:
                return {recipient["identity"]: recipient for recipient in found}
            page = self.rest.http.get(page["meta"]["next_page_url"]).json()

    async def ends(self, sid, within=30, status="completed"):
        shown = await eventually(
            lambda: (it := self.shows(sid))["status"] == status and it,
            within,
            f"the campaign is {status}; it is {self.shows(sid)['status']} with {self.shows(sid)['counts']}",
        )
        counts = dict(shown["counts"])
        assert sum(counts.values()) == 2 * counts["total"], f"everybody under one status: {counts}"
        return counts

    async def stands(self, sid, identity, status, within=10):
        return await eventually(
            lambda: (it := self.recipients(sid)[identity])["status"] == status and it,
            within,
            f"{identity} is {status}",
        )


@pytest.mark.parametrize("topology", TOPOLOGIES)
async def test_an_sms_campaign_reaches_everybody_who_can_be_reached(tmp_path, driver, sms, topology):
    with reachable(topology, tmp_path) as cluster:
        outreach = Outreach(cluster, driver, "sms")
        outreach.posts("Providers/sms", sms.settings)
        people = {f"user{n}": {"phone": number(n), "city": "Lyon"} for n in range(40)}
        people["written as people do"] = {"phone": "+1 (500) 555-0100", "city": "Rome"}
        people["no phone"] = {"city": "Lyon"}
        people["no number"] = {"phone": "call me", "city": "Lyon"}
        people["refused"] = {"phone": number(101), "city": "Lyon"}
        people["busy"] = {"phone": number(102), "city": "Lyon"}
        people["down"] = {"phone": number(103), "city": "Lyon"}
        outreach.users(people)
        sms.does(number(101), sms_provider.REFUSED)
        sms.does(number(102), sms_provider.TOO_MANY, sms_provider.TOO_MANY)
        sms.does(number(103), sms_provider.UNAVAILABLE, sms_provider.FAILS)
        sid = outreach.starts(
            Via="sms",
            Identities=json.dumps([*people, "nobody"]),
            Body="{{user.friendly_name|you}} in {{user.attributes.city|town}}",
        )
        counts = await outreach.ends(sid)
        assert (counts["total"], counts["sent"], counts["failed"]) == (len(people) + 1, 43, 4), counts
        wanted = sorted(number(n) for n in [*range(40), 100, 102, 103])
        assert sorted(sms.numbers()) == wanted, "each once"
        assert sms.of(number(100)).body == "Written As People Do in Rome"
        assert sms.most_at_once <= 16
        shown = outreach.recipients(sid)
        assert shown["refused"]["error"].startswith("21211: ")
        assert "attributes.phone" in shown["no phone"]["error"]
        assert "attributes.phone" in shown["no number"]["error"]
        assert shown["nobody"]["status"] == "failed"
        assert shown["busy"]["error"] is None, "it was taken in the end"

        for identity, status in (("user1", "delivered"), ("user2", "read")):
            taken = sms.of(people[identity]["phone"])
            for step in ("queued", "sent", status, "sent"):
                assert sms.reports(taken, step).status_code == 204
            await outreach.stands(sid, identity, status)
        assert sms.reports(sms.of(number(3)), "undelivered", 30003).status_code == 204
        assert "30003" in (await outreach.stands(sid, "user3", "failed"))["error"]
        assert sms.reports(sms.of(number(3)), "delivered").status_code == 204
        assert outreach.recipients(sid)["user3"]["status"] == "failed", "that is an end"
        assert sms.reports(sms.of(number(4)), "delivered", token="wrong").status_code == 403
        taken = sms.of(number(4))
        assert taken.callback.startswith(f"{cluster.api}{outreach.path}/Campaigns/{sid}/Recipients/")
        for wrong in (taken.callback[:-1] + "x", taken.callback.split("?")[0], sms.of(number(5)).callback[:-4] + "0000"):
            answer = httpx.post(wrong, data={"MessageSid": taken.sid, "MessageStatus": "delivered"})
            assert answer.status_code == 404, answer.text
        assert outreach.recipients(sid)["user4"]["status"] == "sent"
        assert sms.reports(taken, "delivered", is_signed=False).status_code == 204
        await outreach.stands(sid, "user4", "delivered")
        counts = outreach.shows(sid)["counts"]
        assert (counts["delivered"], counts["read"], counts["failed"]) == (2, 1, 5), counts
        await outreach.chat.close()


@pytest.mark.parametrize("topology", TOPOLOGIES)
async def test_an_sms_without_an_answer_is_looked_for_and_never_sent_again(tmp_path, driver, sms, topology):
    with reachable(topology, tmp_path) as cluster:
        outreach = Outreach(cluster, driver, "silence")
        outreach.posts("Providers/sms", sms.settings)
        people = {f"user{n}": {"phone": number(n)} for n in range(6)}
        outreach.users(people)
        sms.does(number(1), sms_provider.SILENCE)
        sms.does(number(2), sms_provider.BREAKS)
        sms.does(number(3), sms_provider.GATEWAY_TIMEOUT)
        sid = outreach.starts(Via="sms", Identities=json.dumps(list(people)), Body="Hello")
        counts = await outreach.ends(sid, within=FOUND_OUT)
        assert counts["sent"] == 6, (counts, outreach.recipients(sid))
        assert sorted(sms.calls) == [number(n) for n in range(6)], "each was called once"
        assert sms.lists >= 3

        sms.is_forgetful = True
        sms.does(number(1), sms_provider.BREAKS)
        sms.does(number(2), sms_provider.BREAKS)
        again = outreach.starts(Via="sms", Identities=json.dumps(["user0", "user1", "user2"]), Body="Again")
        counts = await outreach.ends(again, within=FOUND_OUT)
        assert (counts["sent"], counts["failed"]) == (1, 2)
        error = outreach.recipients(again)["user1"]["error"]
        assert error.startswith("outcome unknown: ") and "does not list it" in error, error
        late = next(it for it in sms.taken if it.to == number(1) and it.body == "Again")
        assert sms.reports(late, "delivered").status_code == 204
        await outreach.stands(again, "user1", "delivered")
        assert sms.calls.count(number(1)) == 2, "once a campaign"
        await outreach.chat.close()


@pytest.mark.parametrize("topology", TOPOLOGIES)
async def test_kill_9_in_the_middle_leaves_nobody_with_two(tmp_path, driver, sms, topology):
    with reachable(topology, tmp_path) as cluster:
        outreach = Outreach(cluster, driver, "killed")
        outreach.posts("Providers/sms", sms.settings)
        people = {f"user{n}": {"phone": number(n)} for n in range(400)}
        outreach.users(people)
        sms.slowness = 0.1
        sid = outreach.starts(Via="sms", Identities=json.dumps(list(people)), Body="Hello {{user.identity}}")
        for enough in (60, 140, 220):
            await eventually(lambda enough=enough: len(sms.taken) >= enough, 90, f"{enough} are on their way")
            cluster.kill()
            cluster.restart()
        counts = await outreach.ends(sid, within=200)
        assert counts["total"] == 400 and counts["sent"] + counts["failed"] == 400, counts
        numbers = sms.numbers()
        assert len(numbers) == len(set(numbers)), "no number gets two"
        failed = [it for it in outreach.recipients(sid).values() if it["status"] == "failed"]
        assert all(it["error"].startswith("outcome unknown: ") for it in failed), failed
        assert counts["sent"] == len(numbers), "whoever was sent to is known, by the provider's list"
        await outreach.chat.close()


@pytest.mark.parametrize("topology", TOPOLOGIES)
async def test_an_email_campaign_says_its_subject_to_each_once(tmp_path, driver, mail, topology):
    with reachable(topology, tmp_path) as cluster:
        outreach = Outreach(cluster, driver, "e-mail")
        outreach.posts("Providers/email", email_settings(mail))
        people = {f"user{n}": {"email": f"user{n}@example.com", "city": "Lyon"} for n in range(30)}
        people["gone"] = {"email": "gone@example.com"}
        people["no address"] = {"email": "a@example.com\nBcc: b@example.com"}
        outreach.users(people)
        mail.does("gone@example.com", mail_server.NOBODY)
        mail.does("user3@example.com", mail_server.LATER)
        mail.does("user4@example.com", mail_server.BREAKS_EARLY)
        mail.does("user5@example.com", mail_server.BREAKS)
        sid = outreach.starts(
            Via="email",
            Identities=json.dumps(list(people)),
            Subject="News from {{user.attributes.city|town}}",
            Body="Dear {{user.friendly_name|you}},\nGrüße",
        )
        counts = await outreach.ends(sid)
        assert (counts["sent"], counts["failed"]) == (29, 3), (counts, outreach.recipients(sid))
        addresses = sorted(letter["to"] for letter in mail.letters)
        assert addresses == sorted(f"user{n}@example.com" for n in range(30)), "each once"
        [letter] = mail.to("user7@example.com")
        assert letter["subject"] == "News from Lyon" and letter["from"] == "Chat <chat@example.com>"
        assert letter.get_content().replace("\r\n", "\n").strip() == "Dear User7,\nGrüße"
        assert letter["message-id"].startswith(f"<{sid}."), letter["message-id"]
        shown = outreach.recipients(sid)
        assert "550" in shown["gone"]["error"]
        assert shown["user5"]["error"].startswith("outcome unknown: "), "it was taken, and we cannot know"
        assert "attributes.email" in shown["no address"]["error"]
        await outreach.chat.close()


@pytest.mark.parametrize("topology", TOPOLOGIES)
async def test_pausing_and_cancelling_hold_for_sms(tmp_path, driver, sms, topology):
    with reachable(topology, tmp_path) as cluster:
        outreach = Outreach(cluster, driver, "paused")
        outreach.posts("Providers/sms", sms.settings)
        people = {f"user{n}": {"phone": number(n)} for n in range(200)}
        outreach.users(people)
        sms.slowness = 0.1
        sid = outreach.starts(Via="sms", Identities=json.dumps(list(people)), Body="Hello")
        await eventually(lambda: len(sms.taken) >= 20, because="it has begun")
        outreach.posts(f"Campaigns/{sid}", {"Status": "paused"})
        await eventually(
            lambda: outreach.shows(sid)["counts"]["sent"] == len(sms.taken), because="what was under way is written down"
        )
        taken = len(sms.taken)
        assert taken < 200
        outreach.posts(f"Campaigns/{sid}", {"Status": "running"})
        await eventually(lambda: len(sms.taken) >= taken + 20, because="it goes on")
        outreach.posts(f"Campaigns/{sid}", {"Status": "cancelled"})
        await eventually(
            lambda: (
                (counts := outreach.shows(sid)["counts"])["sent"] == len(sms.taken)
                and counts["sent"] + counts["skipped"] == counts["total"] == 200
            ),
            because="who was sent to is sent, all others are skipped",
        )
        assert len(set(sms.numbers())) == len(sms.taken) < 200
        await outreach.chat.close()
