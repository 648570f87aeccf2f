// Tokens are renewed before they end, on the connection that lives; what is refused says why.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CLIENTS, Stage, event, eventually } from "./stage.mjs";

let stage;
before(async () => {
  stage = await Stage.make("tokens");
});
after(() => stage.close());

const now = () => Math.floor(Date.now() / 1000);

describe("a token is renewed before it ends, without a new connection", { concurrency: true }, () => {
  for (const [name, kind] of Object.entries(CLIENTS)) {
    test(name, async () => {
      let asked = 0;
      const tokenProvider = async () => {
        asked += 1;
        return stage.token("alice");
      };
      const alice = await stage.person("alice", { kind, token: stage.token("alice", 4), tokenProvider });
      const old = alice.token;
      const states = [];
      alice.on("connectionStateChanged", (state) => states.push(state));
      const left = await event(alice, "tokenAboutToExpire");
      assert.ok(left > 0 && left <= 3_000, `${left} ms`);
      await eventually(() => alice.token !== old);
      await alice.getUser("alice");
      await sleep(left + 500);
      assert.deepEqual([states, asked], [["connecting", "connected"], 1]);
    });
  }
});

test("an expired token makes the client ask for another, also for the first one", async () => {
  const provided = [stage.token("bob", 10, now() - 20), stage.token("bob")];
  const bob = await stage.person("bob", { token: null, tokenProvider: async () => provided.shift() });
  assert.equal(bob.connectionState, "connected");
  const error = await new Promise((resolve) => bob.on("connectionError", resolve));
  assert.deepEqual([error.terminal, error.errorCode, error.httpStatusCode], [false, 20104, 401]);
  assert.deepEqual(provided, []);
});

test("a token that ends under the client is replaced, and nothing is missed", async () => {
  const { sid } = await stage.channel("late", "carol");
  let late = true;
  const tokenProvider = async () => {
    if (late) throw new Error("the backend is away");
    return stage.token("carol");
  };
  const carol = await stage.person("carol", { token: stage.token("carol", 2), tokenProvider });
  const channel = await carol.getChannelBySid(sid);
  const heard = [];
  channel.on("messageAdded", (message) => heard.push(message.body));
  await event(carol, "tokenExpired");
  await eventually(() => carol.connectionState === "connecting");
  await stage.post(`Channels/${sid}/Messages`, { Body: "missed" });
  late = false;
  await eventually(() => heard[0] === "missed");
  assert.equal(carol.connectionState, "connected");
});

test("without a provider the client is denied, until it is given a good token", async () => {
  const dora = stage.unready(stage.token("dora", 10, now() - 20));
  const error = await event(dora, "connectionError", ({ terminal }) => terminal);
  assert.deepEqual([error.errorCode, dora.connectionState, dora.state], [20104, "denied", "failed"]);
  await dora.updateToken(stage.token("dora"));
  await eventually(() => dora.state === "initialized");
  assert.equal(dora.connectionState, "connected");
  await assert.rejects(dora.updateToken(stage.token("somebody else")), { status: 403 });
  await dora.updateToken(stage.token("dora"));
});

test("refusals say why, and end the attempt", async () => {
  const signed = stage.token("eve").split(".");
  const cases = [
    ["rubbish", 20101],
    [[...signed.slice(0, 2), "AAAA"].join("."), 20107],
    [stage.token("eve", 25 * 3600), 20157],
  ];
  for (const [token, code] of cases) {
    for (const kind of Object.values(CLIENTS)) {
      await assert.rejects(kind.create(token, stage.options()), { name: "HubbubError", code, status: 401 });
    }
  }
});

test("a client whose user is deleted is shut out and does not come back by itself", async () => {
  const fred = await stage.person("fred");
  const denied = event(fred, "connectionError", ({ terminal }) => terminal);
  await stage.ask("DELETE", "Users/fred");
  await denied;
  assert.equal(fred.connectionState, "denied");
});
