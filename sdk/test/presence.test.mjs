// Who is online, as clients see it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CLIENTS, Stage, event, eventually } from "./stage.mjs";

let stage;
before(async () => {
  stage = await Stage.make("presence");
});
after(() => stage.close());

/** Anew for every test. */
async function pair(name, kind) {
  const people = ["alice", "bob"].map((person) => `${person} ${name}`);
  await stage.channel(name, ...people);
  await stage.post(stage.path, { ReachabilityEnabled: "true" });
  const client = await stage.person(people[0], { kind });
  return { client, people };
}

for (const [kindName, kind] of Object.entries(CLIENTS)) {
  test(`${kindName}: a user that is followed is online while it is connected`, async () => {
    const { client, people } = await pair(`comes and goes ${kindName}`, kind);
    assert.equal(client.reachabilityEnabled, true);
    assert.equal(client.user.online, true);
    const user = await client.getUser(people[1]);
    assert.deepEqual([user.online, user.notifiable], [false, false]);
    const came = event(client, "userUpdated", (news) => news.user === user);
    const bob = await stage.person(people[1], { kind });
    assert.deepEqual((await came).updateReasons, ["online"]);
    assert.equal(user.online, true);
    const went = event(user, "updated", () => !user.online);
    await bob.shutdown();
    assert.deepEqual((await went).updateReasons, ["online"]);
    assert.equal(user.online, false);
  });

  test(`${kindName}: who comes while a client is away is online for it when it is back`, async () => {
    const { client, people } = await pair(`away ${kindName}`, kind);
    const user = await client.getUser(people[1]);
    client.disconnect();
    await eventually(() => client.connectionState === "disconnected");
    await stage.person(people[1], { kind });
    await eventually(async () => (await stage.ask("GET", `Users/${encodeURIComponent(people[1])}`)).is_online);
    client.connect();
    await eventually(() => user.online === true);
  });
}
