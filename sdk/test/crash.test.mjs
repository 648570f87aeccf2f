// The servers die under the clients and come back: nothing that was said is lost, nothing is there twice.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CLIENTS, Stage, control, eventually } from "./stage.mjs";

let stage;
before(async () => {
  stage = await Stage.make("crash");
});
after(() => stage.close());

test("what was said before, during and after a kill -9 arrives once", async () => {
  const { sid } = await stage.channel("crash", "alice", "bob", "carol");
  const people = {
    alice: await stage.person("alice", { kind: CLIENTS["socket.io-client"] }),
    bob: await stage.person("bob", { kind: CLIENTS.bare }),
    carol: await stage.person("carol", { kind: CLIENTS.bare, transports: ["polling"] }),
  };
  const channels = {};
  const heard = {};
  for (const [name, client] of Object.entries(people)) {
    channels[name] = await client.getChannelBySid(sid);
    heard[name] = [];
    channels[name].on("messageAdded", (message) => heard[name].push(message.body));
  }
  const said = [];
  const acks = [];
  let talking = true;
  const talk = async (name) => {
    for (let n = 0; talking; n += 1) {
      const body = `${name} ${n}`;
      said.push(body);
      acks.push(channels[name].sendMessage(body));
      await sleep(5);
    }
  };
  const talks = ["alice", "bob", "carol"].map(talk);
  await eventually(() => heard.bob.length > 50);
  await control("kill");
  for (const client of Object.values(people)) await eventually(() => client.connectionState === "connecting");
  await sleep(100);
  await control("start");
  const then = heard.bob.length;
  for (const client of Object.values(people)) await eventually(() => client.connectionState === "connected", "back", 20_000);
  await eventually(() => heard.bob.length > then + 50);
  talking = false;
  await Promise.all(talks);
  await Promise.all(acks);
  const stored = await stage.bodies(sid);
  assert.deepEqual([...stored].sort(), [...said].sort());
  for (const name of Object.keys(people)) {
    assert.deepEqual(stored.filter((body) => body.startsWith(`${name} `)), said.filter((body) => body.startsWith(`${name} `)), `${name} in order`);
    await eventually(() => heard[name].length >= said.length, `${name} hears all`);
    assert.deepEqual([...heard[name]].sort(), [...said].sort());
  }
});
