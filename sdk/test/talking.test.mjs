// Two people talk, over every transport, with both clients.
import assert from "node:assert/strict";
import { createServer, request as forward } from "node:http";
import { after, before, describe, test } from "node:test";
import { CLIENTS, Stage, event, eventually, gateways } from "./stage.mjs";

const TRANSPORTS = { websocket: ["websocket"], polling: ["polling"], default: undefined };

let stage;
before(async () => {
  stage = await Stage.make("talking");
});
after(() => stage.close());

const texts = (messages) => messages.map((message) => message.body);

for (const [name, kind] of Object.entries(CLIENTS)) {
  for (const [transport, transports] of Object.entries(TRANSPORTS)) {
    test(`${name} over ${transport}: what is said is heard once, in order, and can be edited and removed`, async () => {
      const { sid } = await stage.channel(`${name} ${transport}`, "alice", "bob");
      const alice = await stage.person("alice", { kind, transports });
      const bob = await stage.person("bob", { kind, transports });
      assert.equal(alice.transport, transports?.[0] ?? "websocket");
      const [hers, his] = [await alice.getChannelBySid(sid), await bob.getChannelBySid(sid)];
      const heard = [];
      his.on("messageAdded", (message) => heard.push(message));
      const indexes = await Promise.all([1, 2, 3, 4, 5].map((n) => hers.sendMessage(`ü ${n}`, { n })));
      assert.deepEqual(indexes, [0, 1, 2, 3, 4]);
      await eventually(() => heard.length === 5);
      assert.deepEqual(texts(heard), ["ü 1", "ü 2", "ü 3", "ü 4", "ü 5"]);
      assert.deepEqual(heard.map((message) => message.attributes.n), [1, 2, 3, 4, 5]);
      assert.deepEqual(texts(hers.messages), texts(heard));

      const edited = event(heard[0], "updated");
      await hers.messages[0].updateBody("edited");
      assert.deepEqual((await edited).updateReasons.includes("body"), true);
      assert.equal(heard[0].body, "edited");
      assert.equal(heard[0].lastUpdatedBy, "alice");
      const removed = event(his, "messageRemoved");
      await hers.messages[1].remove();
      assert.equal((await removed).sid, heard[1].sid);
      assert.deepEqual(texts(his.messages), ["edited", "ü 3", "ü 4", "ü 5"]);

      const typing = event(his, "typingStarted");
      await hers.typing();
      assert.equal((await typing).identity, "alice");
      assert.equal((await his.getMemberByIdentity("alice")).isTyping, true);
      const ended = event(his, "typingEnded");
      await hers.sendMessage("done");
      assert.equal((await ended).isTyping, false);
      await Promise.all([alice.shutdown(), bob.shutdown()]);
      assert.equal(alice.connectionState, "disconnected");
    });
  }
}

describe("one client", () => {
  test("says that it is ready, and replays what nobody has heard yet", async () => {
    const client = await stage.person("rita");
    const states = [];
    client.on("connectionStateChanged", (state) => states.push(state));
    assert.deepEqual(states, ["connecting", "connected"]);
    assert.equal(await new Promise((resolve) => client.on("stateChanged", resolve)), "initialized");
    assert.equal(client.user.identity, "rita");
    client.disconnect();
    assert.deepEqual(states.slice(2), ["disconnecting", "disconnected"]);
    client.connect();
    await eventually(() => client.connectionState === "connected");
  });

  test("falls back to polling where WebSockets do not get through", async () => {
    // A proxy of the kind that knows HTTP and nothing else.
    const proxy = createServer((request, answer) => {
      const { method, headers, url } = request;
      const onward = forward(gateways[0] + url, { method, headers }, (reply) => {
        answer.writeHead(reply.statusCode, reply.headers);
        reply.pipe(answer);
      });
      onward.on("error", () => answer.destroy());
      answer.on("close", () => onward.destroy());
      request.pipe(onward);
    });
    proxy.on("upgrade", (request, socket) => socket.destroy());
    await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    for (const kind of Object.values(CLIENTS)) {
      const client = await stage.person("paula", { kind, url: `http://127.0.0.1:${proxy.address().port}` });
      assert.equal(client.transport, "polling");
      await client.getUser("paula");
      await client.shutdown();
    }
    proxy.closeAllConnections();
    proxy.close();
  });

  test("pages through history in both directions", async () => {
    const { sid } = await stage.channel("history", "alice");
    const items = Array.from({ length: 25 }, (_, n) => ({ body: String(n) }));
    await stage.post(`Channels/${sid}/Messages/Batch`, { Items: JSON.stringify(items) });
    const alice = await stage.person("alice");
    const channel = await alice.getChannelBySid(sid);
    const newest = await channel.getMessages(10);
    assert.deepEqual(texts(newest.items), ["15", "16", "17", "18", "19", "20", "21", "22", "23", "24"]);
    assert.deepEqual([newest.hasPrevPage, newest.hasNextPage], [true, false]);
    const older = await newest.prevPage();
    assert.deepEqual([older.items[0].body, older.items.at(-1).body, older.hasNextPage], ["5", "14", true]);
    const oldest = await older.prevPage();
    assert.deepEqual([texts(oldest.items), oldest.hasPrevPage], [["0", "1", "2", "3", "4"], false]);
    assert.deepEqual(texts((await oldest.nextPage()).items), texts(older.items));
    assert.deepEqual(texts((await channel.getMessages(3, 7)).items), ["5", "6", "7"]);
    assert.deepEqual(texts((await channel.getMessages(3, 7, "forward")).items), ["7", "8", "9"]);
    const first = await channel.getMessages(3, 0, "forward");
    assert.deepEqual([texts(first.items), first.hasPrevPage, first.hasNextPage], [["0", "1", "2"], false, true]);
    assert.equal((await newest.prevPage()).items[0], older.items[0], "a message is one object");
    assert.equal(await channel.getMessagesCount(), 25);
  });

  test("lists channels by pages, and describes public ones", async () => {
    await Promise.all(Array.from({ length: 55 }, (_, n) => stage.channel(`list ${n}`, "lister")));
    const client = await stage.person("lister");
    const page = await client.getSubscribedChannels();
    assert.deepEqual([page.items.length, page.hasNextPage, page.hasPrevPage], [50, true, false]);
    const rest = await page.nextPage();
    assert.deepEqual([rest.items.length, rest.hasNextPage, rest.hasPrevPage], [5, false, true]);
    assert.equal((await rest.prevPage()).items[0], page.items[0]);
    assert.equal(client.getLocalChannels().length, 55);
    const sorted = client.getLocalChannels({ criteria: "uniqueName", order: "descending" });
    assert.equal(sorted[0].uniqueName, "list 9");
    const described = await client.getUserChannelDescriptors();
    assert.deepEqual([described.items[0].status, described.items[0].membersCount], ["joined", 1]);
    assert.equal(await described.items[0].getChannel(), await client.getChannelBySid(described.items[0].sid));
    assert.ok((await client.getPublicChannelDescriptors()).items.length >= 50);
  });

  test("is refused by the server's codes", async () => {
    await stage.channel("closed", "alice");
    const mallory = await stage.person("mallory");
    const channel = await mallory.getChannelByUniqueName("closed");
    assert.equal(channel.status, "notParticipating");
    await assert.rejects(channel.sendMessage("hello"), { name: "HubbubError", status: 403, code: 50400 });
    const [failed] = channel.pendingMessages;
    assert.deepEqual([failed.state, failed.error.status], ["failed", 403]);
    await channel.join();
    assert.equal(await failed.resend(), 0);
    assert.deepEqual([failed.state, channel.pendingMessages.length, channel.messages[0]], ["sent", 0, failed]);
    await assert.rejects(mallory.getChannelBySid("CH00000000000000000000000000000000"), { status: 404, code: 20404 });
    await assert.rejects(channel.sendMessage("x".repeat(400_000)), { status: 413 });
    await channel.pendingMessages[0].remove();
    assert.deepEqual(channel.pendingMessages, []);
  });
});

describe("two people", () => {
  test("make, join, change, leave and delete channels, and hear of each other", async () => {
    const [alice, bob] = [await stage.person("alice"), await stage.person("bob")];
    const joined = event(alice, "channelJoined", (channel) => channel.uniqueName === "made");
    const added = event(alice, "channelAdded", (channel) => channel.uniqueName === "made");
    const hers = await alice.createChannel({ uniqueName: "made", friendlyName: "Made", attributes: { topic: 1 } });
    assert.equal(await joined, hers);
    assert.equal(await added, hers);
    assert.deepEqual([hers.status, hers.attributes, hers.isPrivate, hers.createdBy], ["joined", { topic: 1 }, false, "alice"]);

    const his = await bob.getChannelByUniqueName("made");
    const came = event(hers, "memberJoined");
    await his.join();
    const member = await came;
    assert.deepEqual([member.identity, his.status], ["bob", "joined"]);
    assert.deepEqual((await hers.getMembers()).map((one) => one.identity).sort(), ["alice", "bob"]);
    assert.equal(await hers.getMemberBySid(member.sid), member);
    assert.equal(await hers.getMembersCount(), 2);
    assert.equal((await member.getUser()).identity, "bob");

    const renamed = event(his, "updated", ({ updateReasons }) => updateReasons.includes("friendlyName"));
    await hers.updateFriendlyName("Renamed");
    assert.deepEqual([(await renamed).channel, his.friendlyName], [his, "Renamed"]);
    await hers.updateAttributes({ topic: [2] });
    await eventually(() => his.attributes.topic[0] === 2);

    const gone = event(hers, "memberLeft");
    const left = event(bob, "channelLeft");
    await his.leave();
    assert.deepEqual([(await gone).identity, (await left).sid, his.status], ["bob", his.sid, "notParticipating"]);

    await his.join();
    const removed = event(bob, "channelRemoved");
    await hers.delete();
    assert.equal(await removed, his);
    await assert.rejects(bob.getChannelByUniqueName("made"), { status: 404 });
  });

  test("invite each other", async () => {
    const [alice, carol] = [await stage.person("alice"), await stage.person("carol")];
    const hers = await alice.createChannel({ uniqueName: "party", isPrivate: true });
    for (const answer of ["decline", "join"]) {
      const invited = event(carol, "channelInvited");
      await hers.invite("carol");
      const his = await invited;
      assert.deepEqual([his.sid, his.status, his.isPrivate], [hers.sid, "invited", true]);
      assert.equal((await carol.getInvitedChannels()).items[0], his);
      await his[answer]();
      assert.equal(his.status, answer === "join" ? "joined" : "notParticipating");
    }
    await hers.removeMember("carol");
    const his = await event(carol, "channelLeft");
    assert.equal(his.sid, hers.sid);
  });

  test("see how far each has read", async () => {
    const { sid } = await stage.channel("reading", "alice", "bob");
    const [alice, bob] = [await stage.person("alice"), await stage.person("bob")];
    const [hers, his] = [await alice.getChannelBySid(sid), await bob.getChannelBySid(sid)];
    for (let n = 0; n < 10; n += 1) await hers.sendMessage(String(n));
    await eventually(() => his.messages.length === 10);
    assert.equal(await his.getUnconsumedMessagesCount(), null, "no horizon yet");
    await hers.getMembers();
    const seen = event(hers, "memberUpdated", ({ member }) => member.lastConsumedMessageIndex === 5);
    assert.deepEqual(await Promise.all([3, 5, 4].map((index) => his.advanceLastConsumedMessageIndex(index))), [4, 4, 4]);
    assert.equal((await seen).member.identity, "bob");
    assert.deepEqual([his.lastConsumedMessageIndex, his.unconsumedMessagesCount], [5, 4]);
    assert.equal(await his.advanceLastConsumedMessageIndex(2), 4, "never back");
    await hers.sendMessage("one more");
    await eventually(() => his.unconsumedMessagesCount === 5);
    await (await hers.getMessages()).items.at(-1).remove();
    await eventually(() => his.unconsumedMessagesCount === 4);
    assert.equal(await his.getUnconsumedMessagesCount(), 4);
    assert.equal(await his.updateLastConsumedMessageIndex(1), 8, "back, when asked to");
    assert.equal(await his.setAllMessagesConsumed(), 0);
    assert.equal(his.lastConsumedMessageIndex, 9);
    await his.setNoMessagesConsumed();
    assert.deepEqual([his.lastConsumedMessageIndex, his.unconsumedMessagesCount], [null, null]);
    await his.setUserNotificationLevel("muted");
    assert.equal(his.notificationLevel, "muted");
  });

  test("know each other's names and attributes", async () => {
    const { sid } = await stage.channel("names", "alice", "bob");
    const [alice, bob] = [await stage.person("alice"), await stage.person("bob")];
    assert.equal(await alice.getUser(), alice.user);
    const changed = event(alice.user, "updated");
    await alice.user.updateFriendlyName("Alice");
    assert.deepEqual((await changed).updateReasons, ["friendlyName"]);
    const subscribed = event(bob, "userSubscribed", (user) => user.identity === "alice");
    const seen = await bob.getUser("alice");
    assert.deepEqual([seen.friendlyName, seen.isSubscribed, await subscribed], ["Alice", true, seen]);
    assert.deepEqual(await bob.getSubscribedUsers(), [seen]);
    const descriptors = await (await bob.getChannelBySid(sid)).getUserDescriptors();
    assert.deepEqual(descriptors.map((user) => user.friendlyName), ["Alice", null]);
    assert.equal(await descriptors[0].subscribe(), seen);
    const gone = event(bob, "userUnsubscribed");
    await seen.unsubscribe();
    assert.deepEqual([await gone, seen.isSubscribed], [seen, false]);
    const member = await (await bob.getChannelBySid(sid)).getMemberByIdentity("alice");
    assert.equal((await member.getUserDescriptor()).friendlyName, "Alice");
  });
});
