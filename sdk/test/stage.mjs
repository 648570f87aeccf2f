// What the suites share: a fresh service on the running servers, tokens as a backend mints them, clients of both
// kinds. The servers are told by the environment; tests/test_sdk.py starts them.
import { createHmac } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "../src/index.js";
import { Client as BareClient } from "../src/served.js";

const { HUBBUB_API, HUBBUB_GATEWAYS, HUBBUB_ACCOUNT_SID, HUBBUB_AUTH_TOKEN, HUBBUB_CONTROL } = process.env;

export const gateways = (HUBBUB_GATEWAYS ?? HUBBUB_API ?? "").split(",");

/** The two clients: on the npm package, and without a library as the server serves it. */
export const CLIENTS = { "socket.io-client": Client, bare: BareClient };

/** Waits for something to become true, and answers it. */
export async function eventually(condition, because, within = 10_000) {
  const deadline = Date.now() + within;
  for (;;) {
    const answer = await condition();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`not within ${within} ms: ${because ?? condition}`);
    await sleep(10);
  }
}

/** The next event of a name that fits. */
export function event(emitter, name, fits = () => true, within = 10_000) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      emitter.off(name, listener);
      reject(new Error(`no fitting ${name} within ${within} ms`));
    }, within);
    const listener = (value) => {
      if (!fits(value)) return;
      clearTimeout(timer);
      emitter.off(name, listener);
      resolve(value);
    };
    emitter.on(name, listener);
  });
}

/** Kills or starts servers: `kill`, `start`. */
export async function control(what) {
  const answer = await fetch(`${HUBBUB_CONTROL}/${what}`, { method: "POST" });
  if (!answer.ok) throw new Error(await answer.text());
}

export class Stage {
  #clients = [];
  #turn = 0;

  static async make(name) {
    const stage = new Stage();
    stage.service = await stage.post("/v2/Services", { FriendlyName: name });
    stage.path = `/v2/Services/${stage.service.sid}`;
    stage.key = await stage.post(`/2010-04-01/Accounts/${HUBBUB_ACCOUNT_SID}/Keys.json`, { FriendlyName: name });
    return stage;
  }

  /** A request of the backend's; the path may be within the service. */
  async ask(method, path, form) {
    const credentials = Buffer.from(`${HUBBUB_ACCOUNT_SID}:${HUBBUB_AUTH_TOKEN}`).toString("base64");
    const whole = path.startsWith("/v") || path.startsWith("/2") ? path : `${this.path}/${path}`;
    const answer = await fetch(HUBBUB_API + whole, {
      method,
      headers: { authorization: `Basic ${credentials}` },
      ...(form ? { body: new URLSearchParams(form) } : {}),
    });
    if (!answer.ok) throw new Error(`${method} ${whole}: ${await answer.text()}`);
    return answer.status === 204 ? null : answer.json();
  }

  post(path, form) {
    return this.ask("POST", path, form);
  }

  /** A channel with these members. */
  async channel(uniqueName, ...identities) {
    const channel = await this.post("Channels", { UniqueName: uniqueName, FriendlyName: uniqueName });
    for (const Identity of identities) await this.post(`Channels/${channel.sid}/Members`, { Identity });
    return channel;
  }

  async role(name) {
    const { roles } = await this.ask("GET", "Roles");
    return roles.find((role) => role.friendly_name === name).sid;
  }

  /** What the server has of a channel. */
  async bodies(channel) {
    const all = [];
    let next = `${this.path}/Channels/${channel}/Messages?PageSize=100`;
    while (next) {
      const page = await this.ask("GET", next);
      all.push(...page.messages.map((message) => message.body));
      next = page.meta.next_page_url && page.meta.next_page_url.slice(page.meta.next_page_url.indexOf("/v2/"));
    }
    return all;
  }

  /** An access token as a backend mints it, offline. */
  token(identity, ttl = 3600, issued = Math.floor(Date.now() / 1000)) {
    const text = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const claims = {
      jti: `${this.key.sid}-${issued}`,
      iss: this.key.sid,
      sub: HUBBUB_ACCOUNT_SID,
      iat: issued,
      exp: issued + ttl,
      grants: { identity, chat: { service_sid: this.service.sid } },
    };
    const signed = `${text({ typ: "JWT", alg: "HS256", cty: "twilio-fpa;v=1" })}.${text(claims)}`;
    return `${signed}.${createHmac("sha256", this.key.secret).update(signed).digest("base64url")}`;
  }

  /** Options for a client; several gateways are taken in turn. */
  options(more = {}) {
    this.#turn += 1;
    return { url: gateways[this.#turn % gateways.length], delay: 50, maxDelay: 200, ...more };
  }

  /** Somebody, ready to talk. */
  async person(identity, { kind = Client, token = this.token(identity), ...options } = {}) {
    const client = await kind.create(token, this.options(options));
    this.#clients.push(client);
    return client;
  }

  /** A client that is not waited for. */
  unready(token, { kind = Client, ...options } = {}) {
    const client = new kind(token, this.options(options));
    this.#clients.push(client);
    return client;
  }

  async close() {
    await Promise.all(this.#clients.map((client) => client.shutdown()));
    await this.ask("DELETE", this.path);
  }
}
