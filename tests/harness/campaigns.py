"""Campaigns as a backend sees them."""

import asyncio
import json

from .waiting import eventually

ENDED = ("completed", "failed", "cancelled")


class Campaigns:
    """The campaigns of one service."""

    def __init__(self, chat):
        self.chat, self.rest, self.path = chat, chat.rest, f"{chat.path}/Campaigns"

    def make(self, identities=None, mode="individual", body="Hello {{user.identity}}", **parts):
        """A draft."""
        form = {"Mode": mode, "Body": body, **parts}
        if identities is not None:
            form["Identities"] = json.dumps(list(identities))
        answer = self.rest.post(self.path, form)
        assert answer.status_code == 201, answer.text
        return Campaign(self, answer.json()["sid"])

    def start(self, identities=None, **parts):
        return self.make(identities, **parts).becomes("running")


class Campaign:
    """One of them."""

    def __init__(self, campaigns, sid):
        self._all, self.sid = campaigns, sid
        self.path = f"{campaigns.path}/{sid}"

    def becomes(self, status, **headers):
        answer = self._all.rest.post(self.path, {"Status": status}, **headers)
        assert answer.status_code == 200, answer.text
        return self

    def now(self):
        """As it is; the counts always add up."""
        answer = self._all.rest.get(self.path)
        assert answer.status_code == 200, answer.text
        shown = answer.json()
        counts = dict(shown["counts"])
        assert counts.pop("total") == sum(counts.values()), shown["counts"]
        return shown

    @property
    def counts(self):
        return self.now()["counts"]

    def count(self, status):
        return self.counts[status]

    def was_sent_to(self):
        counts = self.counts
        return counts["sent"] + counts["delivered"] + counts["read"] + counts["replied"]

    async def ends(self, status="completed", within=60):
        def ended():
            now = self.now()
            return now["status"] in ENDED and now["counts"]["pending"] == 0 and now

        now = await eventually(ended, within, f"{self.sid} ends")
        assert now["status"] == status, now
        return now

    async def counts_are(self, within=20, **counts):
        def agrees():
            now = self.counts
            return all(now[name] == count for name, count in counts.items()) and now

        return await eventually(agrees, within, f"the counts are {counts}")

    def recipients(self, **filters):
        """By identity."""
        found, url, query = [], f"{self.path}/Recipients", {"PageSize": 100, **filters}
        while url:
            page = self._all.rest.get(url, **query).json()
            found += page["recipients"]
            url, query = page["meta"]["next_page_url"], {}
        return {recipient["identity"]: recipient for recipient in found}

    async def stands_still(self, seconds):
        """How many were sent to, which must be the same all the time."""
        before = self.was_sent_to()
        for _ in range(int(seconds * 10)):
            await asyncio.sleep(0.1)
            assert self.was_sent_to() == before, "somebody was sent to"
        return before
