// The types compile, and say what the code does: every declared member is there, and every public one is declared.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as npm from "../src/index.js";
import * as served from "../src/served.js";
import { Session } from "../src/session.js";

const root = new URL("../", import.meta.url);
const run = promisify(execFile);

test("an app in TypeScript compiles", async () => {
  const compiler = fileURLToPath(new URL("node_modules/typescript/bin/tsc", root));
  await run(process.execPath, [compiler, "--project", fileURLToPath(new URL("test/types", root))]).catch((error) => {
    assert.fail(error.stdout);
  });
});

test("the version is the package's", async () => {
  const { version } = JSON.parse(await readFile(new URL("package.json", root), "utf8"));
  assert.equal(npm.Client.version, version);
});

/** The members of each declared class. */
async function declared() {
  const text = await readFile(new URL("index.d.ts", root), "utf8");
  const classes = {};
  for (const [, name, body] of text.matchAll(/^export class (\w+)[^{]*\{$(.*?)^\}/gms)) {
    classes[name] = [...body.matchAll(/^ {2}(?:static )?(?:readonly )?(\w+)[(:<]/gm)].map(([, member]) => member).filter((member) => !["constructor", "private"].includes(member));
  }
  return classes;
}

/** One of each, as the session makes them. */
function samples(classes) {
  const settings = { maxCachedMessages: 1 };
  const session = new Session({ emit() {} }, settings);
  const wire = { sid: "CH1", unique_name: null, friendly_name: null, type: "public", attributes: "{}", created_by: "alice", date_created: null, date_updated: null, members_count: 0, messages_count: 0 };
  const user = { sid: "US1", identity: "alice", friendly_name: null, attributes: "{}", is_online: null, is_notifiable: null };
  const channel = new classes.Channel(session, wire);
  return {
    Channel: channel,
    ChannelDescriptor: new classes.ChannelDescriptor(session, { channel: wire }),
    Client: new classes.Client("token", { url: "http://127.0.0.1:9" }),
    HubbubError: new classes.HubbubError("why"),
    Member: new classes.Member(session, channel, { identity: "alice" }),
    Message: new classes.Message(session, channel, {}),
    Paginator: new classes.Paginator([], null, null),
    User: new classes.User(session, user),
    UserDescriptor: new classes.UserDescriptor(session, user),
  };
}

for (const [name, classes] of Object.entries({ npm, served })) {
  test(`${name}: the types and the code have the same members`, async () => {
    const types = await declared();
    assert.deepEqual(Object.keys(classes).sort(), Object.keys(types).sort());
    const made = samples(classes);
    for (const [type, members] of Object.entries(types)) {
      const there = new Set(Object.keys(made[type]));
      for (let proto = classes[type].prototype; proto && !["Emitter", "Error", "Object"].includes(proto.constructor.name); proto = Object.getPrototypeOf(proto)) {
        for (const member of Object.getOwnPropertyNames(proto)) there.add(member);
      }
      if (type === "Client") for (const member of ["create", "version"]) there.add(member);
      const open = [...there].filter((member) => !member.startsWith("_") && !["constructor", "name", "stack", "message", "cause"].includes(member));
      assert.deepEqual(open.sort(), [...new Set(members)].sort(), type);
    }
    await made.Client.shutdown();
  });
}
