"""Missed messages: whoever has not read one after the service's delay is told by e-mail, once until they read."""

import json
import time

import pytest

from harness import mail_server
from harness.chat import Chat
from harness.cluster import running
from harness.mail_server import MailServer
from harness.waiting import eventually
from test_providers import email_settings

pytestmark = pytest.mark.topologies("embedded", "cluster")

DELAY = 2


@pytest.fixture
def mail():
    made = MailServer()
    yield made
    made.close()


class House:
    """A service with notices, a channel and some who have addresses."""

    def __init__(self, chat, mail, delay=DELAY, **settings):
        self.chat, self.rest, self.mail = chat, chat.rest, mail
        form = email_settings(mail, NoticeDelay=str(delay), **settings)
        answer = chat.rest.post(f"{chat.path}/Providers/email", form)
        assert answer.status_code == 201, answer.text

    def user(self, identity, **attributes):
        given = {"email": f"{identity}@example.com", **attributes}
        self.chat.service.users.create(
            identity=identity, friendly_name=identity.title(), attributes=json.dumps(given)
        )

    def says(self, channel, author, body):
        path = f"{self.chat.path}/Channels/{channel}/Messages"
        answer = self.rest.post(path, {"From": author, "Body": body})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def reads(self, channel, identity, index):
        path = f"{self.chat.path}/Channels/{channel}/Members/{identity}"
        answer = self.rest.post(path, {"LastConsumedMessageIndex": str(index)})
        assert answer.status_code == 200, answer.text

    async def gets(self, identity, count=1, within=15):
        address = f"{identity}@example.com"
        return await eventually(
            lambda: len(self.mail.to(address)) >= count and self.mail.to(address),
            within,
            f"{count} notices to {identity}; here: {[letter['to'] for letter in self.mail.letters]}",
        )


async def begun(house):
    """From here on messages are looked at: what was sent before the first round is nobody's."""
    house.user("first")
    house.user("second")
    house.chat.channel("beginning", "first", "second")

    def asked():
        house.says("beginning", "first", "is anybody there?")
        return house.mail.to("second@example.com")

    await eventually(asked, within=15, because="the first notice arrives")


async def test_who_misses_a_message_gets_one_notice_until_reading(chat, mail):
    house = House(
        chat,
        mail,
        NoticeSubject="{{user.friendly_name}}: {{message.author}} in {{channel.friendly_name}}",
        NoticeBody="{{message.body}} ({{user.attributes.city|nowhere}})",
    )
    await begun(house)
    for identity in ("ada", "bob", "carl", "dora"):
        house.user(identity)
    chat.service.users.create(identity="eve")
    channel = chat.channel("general", "ada", "bob", "carl", "dora", "eve").sid
    muted = chat.rest.post(f"{chat.path}/Users/dora/Channels/{channel}", {"NotificationLevel": "muted"})
    assert muted.status_code == 200, muted.text
    sent_at = time.monotonic()
    house.says("general", "ada", "hello {{user.attributes.email}}")
    house.says("general", "ada", "and more")
    house.reads("general", "carl", 1)
    [letter] = await house.gets("bob")
    assert time.monotonic() - sent_at >= DELAY, "not before the delay"
    assert letter["subject"] == "Bob: ada in general"
    assert letter["from"] == "Chat <chat@example.com>"
    assert letter.get_content().strip() == "hello {{user.attributes.email}} (nowhere)", "a message is no template"
    house.says("general", "ada", "still not read")
    house.says("general", "bob", "I write and do not read")
    await house.gets("ada")
    assert len(house.mail.to("bob@example.com")) == 1, "one until it was read"
    await house.gets("carl")
    house.reads("general", "bob", 3)
    house.says("general", "carl", "new")
    [_, second] = await house.gets("bob", 2)
    assert second["subject"] == "Bob: carl in general"
    assert not house.mail.to("dora@example.com"), "muted"
    assert {letter["to"] for letter in mail.letters if "example.com" in letter["to"]} <= {
        f"{name}@example.com" for name in ("first", "second", "ada", "bob", "carl")
    }


async def test_what_was_removed_is_not_told_and_without_delay_nothing_is(chat, mail):
    house = House(chat, mail)
    await begun(house)
    for identity in ("ada", "bob"):
        house.user(identity)
    chat.channel("general", "ada", "bob")
    removed = house.says("general", "ada", "oops")
    path = f"{chat.path}/Channels/general/Messages/{removed['sid']}"
    assert chat.rest.delete(path).status_code == 204
    chat.channel("other", "ada", "bob")
    house.says("other", "ada", "told")
    [letter] = await house.gets("bob")
    assert "told" in letter.get_content() and letter["subject"] == "ada wrote to you"
    answer = chat.rest.post(f"{chat.path}/Providers/email", {"NoticeDelay": "0"})
    assert answer.status_code == 200 and answer.json()["notice_delay"] is None
    house.says("general", "ada", "while they are off")
    answer = chat.rest.post(f"{chat.path}/Providers/email", {"NoticeDelay": str(DELAY)})
    assert answer.status_code == 200
    await eventually(
        lambda: (
            house.says("beginning", "second", "again?") and house.mail.to("first@example.com")
        ),
        within=15,
        because="notices are on again",
    )
    assert len(house.mail.to("bob@example.com")) == 1, "what was sent while they were off is nobody's"


async def test_a_server_that_says_later_gets_the_notice_later(chat, mail):
    house = House(chat, mail)
    await begun(house)
    house.user("ada")
    house.user("bob")
    chat.channel("general", "ada", "bob")
    mail.does("bob@example.com", mail_server.LATER)
    house.says("general", "ada", "hello")
    assert len(await house.gets("bob", within=25)) == 1


async def test_a_notice_that_was_handed_over_is_not_sent_again_after_kill_9(tmp_path, driver, mail):
    """The letter is taken and the server's answer never comes, since the process is dead by then."""
    with running("cluster", tmp_path) as cluster:
        chat = Chat(cluster, driver, "killed")
        house = House(chat, mail)
        await begun(house)
        house.user("ada")
        house.user("bob")
        house.user("carl")
        chat.channel("general", "ada", "bob")
        mail.does("bob@example.com", mail_server.HOLDS)
        house.says("general", "ada", "hello")
        await house.gets("bob")
        cluster.kill()
        cluster.restart()
        chat.channel("other", "ada", "carl")
        house.says("other", "ada", "hello")
        await house.gets("carl", within=60)
        assert len(mail.to("bob@example.com")) == 1
        await chat.close()
