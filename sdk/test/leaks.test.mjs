// A client that lives long holds on to nothing: over a thousand reconnects and a thousand channels, in front of a
// server that is only pretended, and over fewer in front of a real one.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { CLIENTS, Stage, event, eventually } from "./stage.mjs";

const SID = (prefix, n) => prefix + n.toString(16).padStart(32, "0");
const DATE = "2026-01-01T00:00:00Z";

/** A server within the process: answers what the client asks, and can be made to speak. */
class Pretended {
  lines = new Set();
  opened = 0;

  dial = ({ transport }, hooks) => {
    const line = {
      transport,
      hooks,
      send: (verb, argument, answered) => queueMicrotask(() => this.lines.has(line) && answered({ ok: true, data: this.answer(verb, argument) })),
      close: () => this.lines.delete(line),
    };
    this.lines.add(line);
    this.opened += 1;
    queueMicrotask(() => this.say("initialized", { user: { identity: "alice", sid: SID("US", 1) }, cursor: `c${this.opened}` }));
    return line;
  };

  say(name, data) {
    for (const { hooks } of this.lines) hooks.event(name, data);
  }

  breakDown() {
    for (const line of [...this.lines]) {
      this.lines.delete(line);
      line.hooks.closed("transport close", false);
    }
  }

  answer(verb, { channel, body, client_id }) {
    if (verb === "getChannel") return { ...this.channel(channel), channel: this.channel(channel), status: "joined", last_message: null };
    if (verb === "joinChannel") return { ...this.channel(channel), channel: this.channel(channel), status: "joined", last_message: null };
    if (verb === "getMembers") return { members: [], next_page_token: null };
    if (verb === "sendMessage") return this.message(channel, body, client_id, "alice");
    return {};
  }

  channel(sid) {
    return { sid, unique_name: sid, friendly_name: null, type: "public", attributes: "{}", created_by: "x", date_created: DATE, date_updated: DATE };
  }

  #index = 0;
  message(channel, body, clientId = null, from = "bob") {
    const index = this.#index++;
    return { sid: SID("IM", index), channel_sid: channel, index, from, body, attributes: "{}", type: "text", media: null, client_id: clientId, date_created: DATE, date_updated: DATE, was_edited: false, last_updated_by: null };
  }
}

async function heap() {
  // What finalizers let go is gone only after another turn.
  for (let n = 0; n < 5; n += 1) {
    globalThis.gc();
    await turn();
  }
  return process.memoryUsage().heapUsed;
}

const MiB = 1024 * 1024;

describe("in front of a pretended server", () => {
  const Client = CLIENTS.bare;
  const make = (server, options) => Client.create("token", { url: "http://nowhere", dial: server.dial, delay: 0, maxDelay: 0, ...options });

  test("a thousand reconnects leave no listeners, timers or memory behind", async () => {
    const server = new Pretended();
    const client = await make(server);
    const channel = await client.getChannelBySid(SID("CH", 1));
    channel.on("messageAdded", () => {});
    client.on("connectionStateChanged", () => {});
    const reconnect = async (times) => {
      for (let n = 0; n < times; n += 1) {
        const sent = channel.sendMessage("hello");
        server.breakDown();
        await sent;
        assert.equal(client.connectionState, "connected");
      }
    };
    await reconnect(100);
    const [before, listeners, timers] = [await heap(), client.listenerCount() + channel.listenerCount(), process.getActiveResourcesInfo().length];
    await reconnect(1_000);
    assert.equal(server.opened >= 1_101, true);
    assert.equal(server.lines.size, 1);
    assert.equal(client.listenerCount() + channel.listenerCount(), listeners);
    assert.ok(process.getActiveResourcesInfo().length <= timers + 1);
    const grown = (await heap()) - before;
    assert.ok(grown < MiB, `${grown} bytes more`);
    await client.shutdown();
  });

  test("a thousand channels that are opened and closed again leave nothing behind", async () => {
    const server = new Pretended();
    const client = await make(server);
    const open = async (from, to) => {
      for (let n = from; n < to; n += 1) {
        const channel = await client.getChannelBySid(SID("CH", n));
        channel.on("messageAdded", () => {});
        for (let seq = 1; seq <= 20; seq += 1) {
          const message = server.message(channel.sid, "x".repeat(500));
          server.say("messageAdded", { type: "messageAdded", channel_sid: channel.sid, seq, identity: "bob", message });
        }
        assert.equal(channel.messages.length, 20);
        await channel.leave();
      }
    };
    // Somebody listens, or the last events of them would wait.
    for (const name of ["messageAdded", "channelLeft", "channelUpdated"]) client.on(name, () => {});
    await open(0, 100);
    const before = await heap();
    await open(100, 1_100);
    const grown = (await heap()) - before;
    assert.ok(grown < 2 * MiB, `${grown} bytes more`);
    assert.equal(client.getLocalChannels().length, 0);
    await client.shutdown();
  });

  test("of a channel only the newest messages are kept, and they can be dropped", async () => {
    const server = new Pretended();
    const client = await make(server, { maxCachedMessages: 50 });
    const channel = await client.getChannelBySid(SID("CH", 1));
    let held = null;
    let seq = 0;
    const say = (count) => {
      for (let n = 0; n < count; n += 1) {
        seq += 1;
        const message = server.message(channel.sid, "x".repeat(1_000));
        server.say("messageAdded", { type: "messageAdded", channel_sid: channel.sid, seq, identity: "bob", message });
      }
    };
    client.on("messageAdded", (message) => (held ??= message));
    say(1_000);
    const before = await heap();
    say(5_000);
    const grown = (await heap()) - before;
    assert.ok(grown < 2 * MiB, `${grown} bytes more after 5 MB of messages, without a listener at the channel`);
    assert.equal(channel.messages.length, 50);
    // One that the app holds goes on following changes, however old it is.
    seq += 1;
    const wire = { ...server.message(channel.sid, "edited"), sid: held.sid, index: held.index };
    server.say("messageUpdated", { type: "messageUpdated", channel_sid: channel.sid, seq, identity: "bob", message: wire });
    assert.equal(held.body, "edited");
    channel.dropMessages();
    assert.deepEqual(channel.messages, []);
    await client.shutdown();
  });

  test("events that nobody listens to are bounded over all channels", async () => {
    const server = new Pretended();
    const client = await make(server, { maxCachedMessages: 10 });
    for (let n = 0; n < 50; n += 1) await client.getChannelBySid(SID("CH", n));
    const say = (times) => {
      for (let n = 0; n < times; n += 1) {
        const sid = SID("CH", n % 50);
        const message = server.message(sid, "x".repeat(2_000));
        server.say("messageAdded", { type: "messageAdded", channel_sid: sid, seq: 1 + Math.floor(n / 50) + say.round, identity: "bob", message });
      }
      say.round += times;
    };
    say.round = 0;
    say(2_000);
    const before = await heap();
    say(5_000);
    const grown = (await heap()) - before;
    assert.ok(grown < 2 * MiB, `${grown} bytes more`);
    const heard = [];
    client.on("messageAdded", (message) => heard.push(message));
    assert.ok(heard.length > 100 && heard.length <= 1_000, `${heard.length} heard`);
    await client.shutdown();
  });
});

describe("in front of a real server", () => {
  let stage;
  before(async () => {
    stage = await Stage.make("leaks");
  });
  after(() => stage.close());

  for (const [name, kind] of Object.entries(CLIENTS)) {
    test(`${name}: a hundred reconnects leave nothing behind`, async () => {
      await stage.channel(name, "alice");
      const alice = await stage.person("alice", { kind });
      const channel = await alice.getChannelByUniqueName(name);
      const reconnect = async (times) => {
        for (let n = 0; n < times; n += 1) {
          const connected = event(alice, "connectionStateChanged", (state) => state === "connected");
          alice.disconnect();
          alice.connect();
          await connected;
        }
        await channel.sendMessage("still here");
      };
      await reconnect(20);
      const resources = () => process.getActiveResourcesInfo().filter((kind) => kind === "TCPSocketWrap").length;
      const [before, sockets] = [await heap(), resources()];
      await reconnect(100);
      const grown = (await heap()) - before;
      assert.ok(grown < 2 * MiB, `${grown} bytes more`);
      await eventually(() => resources() <= sockets + 1, `sockets go back to ${sockets}`);
      await alice.shutdown();
    });
  }
});
