// What is said without a connection waits and goes out once, in order; what was missed comes, once, in order.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { bareLines } from "../src/transport/bare.js";
import { CLIENTS, Stage, event, eventually } from "./stage.mjs";

let stage;
before(async () => {
  stage = await Stage.make("offline");
});
after(() => stage.close());

const texts = (messages) => messages.map((message) => message.body);
const numbered = (word, count) => Array.from({ length: count }, (_, n) => `${word} ${n}`);

test("what is said offline shows as sending, and goes out once in order", async () => {
  const { sid } = await stage.channel("queue", "alice", "bob");
  const [alice, bob] = [await stage.person("alice"), await stage.person("bob")];
  const [hers, his] = [await alice.getChannelBySid(sid), await bob.getChannelBySid(sid)];
  const heard = [];
  his.on("messageAdded", (message) => heard.push(message.body));
  const own = [];
  hers.on("messageSending", (message) => own.push([message.state, message.body, message.sid]));
  await hers.sendMessage("online");
  alice.disconnect();
  const sent = numbered("offline", 100).map((body) => hers.sendMessage(body));
  assert.deepEqual(own.slice(0, 2), [["sending", "online", null], ["sending", "offline 0", null]]);
  const echo = hers.pendingMessages[0];
  assert.deepEqual([echo.state, echo.body, echo.author, echo.index], ["sending", "offline 0", "alice", null]);
  assert.equal(hers.pendingMessages.length, 100);
  assert.deepEqual(texts(hers.messages), ["online"]);
  alice.connect();
  const indexes = await Promise.all(sent);
  assert.deepEqual(indexes, Array.from({ length: 100 }, (_, n) => n + 1));
  const all = ["online", ...numbered("offline", 100)];
  await eventually(() => heard.length >= 101);
  assert.deepEqual(heard, all);
  assert.deepEqual(await stage.bodies(sid), all);
  assert.deepEqual(texts(hers.messages), all);
  assert.equal(hers.messages[1], echo, "the echo became the message");
  assert.deepEqual([echo.state, hers.pendingMessages], ["sent", []]);
});

for (const [name, kind] of Object.entries(CLIENTS)) {
  for (const transport of ["websocket", "polling"]) {
    test(`${name} over ${transport}: sends under a connection that breaks all the time arrive once`, async () => {
      const { sid } = await stage.channel(`breaking ${name} ${transport}`, "alice", "bob");
      const alice = await stage.person("alice", { kind, transports: [transport] });
      const bob = await stage.person("bob");
      const [hers, his] = [await alice.getChannelBySid(sid), await bob.getChannelBySid(sid)];
      const told = { hers: [], his: [] };
      hers.on("messageAdded", (message) => told.hers.push(message.body));
      his.on("messageAdded", (message) => told.his.push(message.body));
      const sent = [];
      for (const [n, body] of numbered("said", 60).entries()) {
        sent.push(hers.sendMessage(body));
        if (n % 10 !== 5) continue;
        // Lost in the middle of it, wherever that is.
        await new Promise((resolve) => setTimeout(resolve, n % 4));
        alice.disconnect();
        alice.connect();
        if (n % 20 === 5) await eventually(() => alice.connectionState === "connected");
      }
      await Promise.all(sent);
      await eventually(() => told.his.length >= 60);
      assert.deepEqual(await stage.bodies(sid), numbered("said", 60));
      assert.deepEqual(told.his, numbered("said", 60));
      // What the ack told, the replay after a reconnect does not tell again.
      alice.disconnect();
      alice.connect();
      await event(alice, "synced");
      assert.deepEqual([...told.hers].sort(), numbered("said", 60).sort());
    });
  }
}

test("300 missed events of all kinds arrive once, in order", async () => {
  const channel = await stage.channel("missed", "alice", "bob");
  const bob = await stage.person("bob");
  const his = await bob.getChannelBySid(channel.sid);
  const told = [];
  for (const name of ["messageAdded", "messageRemoved"]) his.on(name, (message) => told.push(`${name} ${message.body}`));
  his.on("messageUpdated", ({ message }) => told.push(`messageUpdated ${message.body}`));
  for (const name of ["memberJoined", "memberLeft"]) his.on(name, (member) => told.push(`${name} ${member.identity}`));
  his.on("updated", ({ updateReasons }) => updateReasons.includes("friendlyName") && told.push(`named ${his.friendlyName}`));
  bob.on("channelJoined", (joined) => told.push(`joined ${joined.uniqueName}`));
  const kept = await stage.post(`Channels/${channel.sid}/Messages`, { Body: "before", From: "alice" });
  await eventually(() => told.length === 1);
  bob.disconnect();

  const expected = ["messageAdded before"];
  // The rest is told as it was; a message as it is now.
  for (let n = 0; n < 6; n += 1) {
    const path = `Channels/${channel.sid}`;
    await stage.post(`${path}/Messages`, { Body: `missed ${n}`, From: "alice" });
    await stage.post(`${path}/Messages/${kept.sid}`, { Body: `edit ${n}` });
    await stage.post(`${path}/Members`, { Identity: `guest ${n}` });
    await stage.ask("DELETE", `${path}/Members/guest%20${n}`);
    await stage.post(path, { FriendlyName: `name ${n}` });
    expected.push(`messageAdded missed ${n}`, `messageUpdated edit ${n}`, `memberJoined guest ${n}`, `memberLeft guest ${n}`, `named name ${n}`);
  }
  await stage.channel("added meanwhile", "bob");
  const last = numbered("last", 270).map((body) => ({ body, from: "alice" }));
  await stage.post(`Channels/${channel.sid}/Messages/Batch`, { Items: JSON.stringify(last) });
  expected.push(...numbered("messageAdded last", 270));
  bob.connect();
  const synced = event(bob, "synced");
  await eventually(() => told.length >= expected.length + 1);
  assert.equal((await synced).complete, true);
  assert.deepEqual(told.filter((line) => !line.startsWith("joined")), expected);
  assert.deepEqual(told.filter((line) => line.startsWith("joined")), ["joined added meanwhile"]);
  await stage.post(`Channels/${channel.sid}/Messages`, { Body: "live", From: "alice" });
  await eventually(() => told.at(-1) === "messageAdded live");
  assert.equal(told.length, expected.length + 2);
});

test("another client of the user goes on from a cursor", async () => {
  const { sid } = await stage.channel("cursor", "alice", "bob");
  const first = await stage.person("bob");
  const { cursor } = first;
  await first.shutdown();
  await stage.post(`Channels/${sid}/Messages`, { Body: "missed", From: "alice" });
  const second = await stage.person("bob", { cursor });
  const message = await new Promise((resolve) => second.on("messageAdded", resolve));
  assert.equal(message.body, "missed");
  assert.notEqual(second.cursor, cursor);
});

test("when the server cannot tell what was missed, what is known is read anew", async () => {
  const { sid } = await stage.channel("anew", "alice", "bob");
  const left = await stage.channel("anew left", "bob");
  const removed = await stage.channel("anew removed", "bob");
  let spoiled = false;
  const lines = bareLines();
  const dial = ({ auth, ...options }, hooks) => {
    // As if it were from another year.
    if (spoiled && auth.cursor) auth.cursor = "bm90IGEgY3Vyc29y";
    return lines({ auth, ...options }, hooks);
  };
  const bob = await stage.person("bob", { dial });
  const his = await bob.getChannelBySid(sid);
  await bob.getChannelBySid(left.sid);
  await bob.getChannelBySid(removed.sid);
  const post = (body) => stage.post(`Channels/${sid}/Messages`, { Body: body, From: "alice" });
  const [first, second] = [await post("first"), await post("second")];
  await eventually(() => his.messages.length === 2);
  const members = await his.getMembers();
  const alice = await bob.getUser("alice");
  const told = [];
  for (const name of ["messageAdded", "messageRemoved"]) bob.on(name, ({ body }) => told.push(`${name} ${body}`));
  bob.on("messageUpdated", ({ message }) => told.push(`messageUpdated ${message.body}`));
  for (const name of ["memberJoined", "memberLeft"]) bob.on(name, ({ identity }) => told.push(`${name} ${identity}`));
  for (const name of ["channelLeft", "channelRemoved"]) bob.on(name, ({ uniqueName }) => told.push(`${name} ${uniqueName}`));
  bob.on("userUpdated", ({ user }) => told.push(`userUpdated ${user.friendlyName}`));
  // What happened before is told to its first listener too.
  told.length = 0;
  bob.disconnect();

  await stage.post(`Channels/${sid}/Messages/${first.sid}`, { Body: "first, edited" });
  await stage.ask("DELETE", `Channels/${sid}/Messages/${second.sid}`);
  await post("third");
  await post("fourth");
  await stage.post(`Channels/${sid}/Members`, { Identity: "carol" });
  await stage.post(`Channels/${sid}`, { FriendlyName: "Anew" });
  await stage.post("Users/alice", { FriendlyName: "Alice" });
  await stage.ask("DELETE", `Channels/${left.sid}/Members/bob`);
  await stage.ask("DELETE", `Channels/${removed.sid}`);
  const synced = event(bob, "synced", ({ complete }) => !complete);
  spoiled = true;
  bob.connect();
  await synced;
  assert.deepEqual(told.sort(), [
    "channelLeft anew left",
    "channelRemoved anew removed",
    "memberJoined carol",
    "messageAdded fourth",
    "messageAdded third",
    "messageRemoved second",
    "messageUpdated first, edited",
    "userUpdated Alice",
  ]);
  assert.deepEqual(texts(his.messages), ["first, edited", "third", "fourth"]);
  assert.deepEqual([his.friendlyName, alice.friendlyName, members.length], ["Anew", "Alice", 2]);
  await post("live again");
  await eventually(() => told.at(-1) === "messageAdded live again");
});
