// The snippets of the README run, one after the other, as they stand there.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Stage } from "./stage.mjs";

const root = new URL("../", import.meta.url);

let stage;
before(async () => {
  stage = await Stage.make("readme");
});
after(() => stage.close());

test("the snippets of the README run", async () => {
  await stage.channel("general", "alice");
  const text = await readFile(new URL("README.md", root), "utf8");
  const snippets = [...text.matchAll(/^```js\n(.*?)^```/gms)].map(([, code]) => code);
  assert.equal(snippets.length, 3);
  const { url } = stage.options();
  const given = `const [url, token] = ${JSON.stringify([url, stage.token("alice")])}; const getToken = async () => token;`;
  // The package finds itself by its own name.
  const program = `${given}\n${snippets.join("\n")}\nawait client.shutdown();`;
  const node = spawn(process.execPath, ["--input-type=module", "--eval", program], { cwd: fileURLToPath(root) });
  let said = "";
  node.stdout.on("data", (data) => (said += data));
  node.stderr.on("data", (data) => (said += data));
  const code = await new Promise((resolve) => node.on("close", resolve));
  assert.equal(code, 0, said);
  for (const line of ["connected", "alice Hello { mood: 'good' }", "sending", "sent", "[ 'written in a tunnel' ]"]) {
    assert.ok(said.split("\n").includes(line), `${line} is not in\n${said}`);
  }
});
