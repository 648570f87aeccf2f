import { HubbubError, refusal } from "./errors.js";
import { Requests } from "./requests.js";
import { TokenKeeper } from "./token_keeper.js";
import { Waker } from "./waker.js";

/** The code of a token that has expired. */
const TOKEN_EXPIRED = 20104;

/**
 * The way to the server: one line at a time, dialled again for as long as that can help, each time with the newest
 * token and cursor. A transport that does not get through is followed by the next one in the list.
 *
 * `hooks`: `state(name)`, `failed(error, terminal)`, `initialized(data)`, `synced(data)`, `event(event)`,
 * `tokenAboutToExpire(ms)`, `tokenExpired()`.
 */
export class Connection {
  state = "unknown";
  cursor;
  #settings;
  #hooks;
  #tokens;
  #requests;
  #waker;
  #line = null;
  #ready = false;
  #wanted = false;
  /** Which transport is dialled next; how many attempts failed since one got through. */
  #next = 0;
  #failures = 0;
  #retry = null;
  #overdue = null;
  #expired = false;

  constructor(settings, hooks) {
    this.#settings = settings;
    this.#hooks = hooks;
    this.cursor = settings.cursor ?? null;
    this.#tokens = new TokenKeeper(settings.token, settings.tokenProvider);
    this.#requests = new Requests(settings, () => this.#cut("no answer"));
    this.#waker = new Waker(() => this.#wake());
  }

  /** The transport in use, or null. */
  get transport() {
    return this.#ready ? this.#line.transport : null;
  }

  get token() {
    return this.#tokens.token;
  }

  /** Connects, and stays connected until `stop`. */
  start() {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#failures = 0;
    this.#waker.start();
    this.#dial();
  }

  /** Ends the connection. What waits for an answer and may be repeated goes on waiting. */
  stop() {
    if (!this.#wanted && !this.#line) return;
    this.#say("disconnecting");
    this.#rest("disconnected");
  }

  /** `stop`, for good: whatever waits for an answer fails. */
  end() {
    this.stop();
    this.#requests.end();
    this.#tokens.end();
  }

  /**
   * Asks the server. Waits for a connection, if need be.
   * @param {{again?: boolean, patience?: number}} [options] `again`: may be repeated when the connection is lost
   */
  request(verb, argument, options) {
    return this.#requests.add(verb, argument, options);
  }

  /** Says something that is not worth waiting for: without a connection it is dropped. */
  mention(verb, argument) {
    if (this.#ready) this.#line.send(verb, argument, () => {});
  }

  /** Goes on with another token. A client that was refused for its token tries again. */
  async updateToken(token) {
    if (this.#ready) await this.request("updateToken", { token }, { again: true });
    this.#tokens.take(token);
    if (this.state === "denied" || this.state === "error") this.start();
  }

  async #dial() {
    clearTimeout(this.#retry);
    this.#retry = null;
    this.#say("connecting");
    let token;
    try {
      token = await this.#tokens.current();
    } catch (error) {
      this.#failures += 1;
      const message = `tokenProvider failed: ${error?.message ?? error}`;
      return this.#again(new HubbubError(message, { reason: "connection", cause: error }));
    }
    if (!this.#wanted || this.#line) return;
    const { url, path, timeout, transports, dial } = this.#settings;
    const auth = this.cursor ? { token, cursor: this.cursor } : { token };
    const transport = transports[this.#next % transports.length];
    const mine = (hook) => (...args) => {
      if (line !== null && this.#line === line) hook(...args);
    };
    let line = null;
    try {
      line = dial(
        { url, path, timeout, transport, auth },
        {
          event: mine((name, data) => this.#hear(name, data)),
          refused: mine((data) => this.#refused(refusal(data))),
          closed: mine((reason, byServer) => this.#closed(reason, byServer)),
        },
      );
    } catch (error) {
      return this.#closed(error.message, false);
    }
    this.#line = line;
    this.#overdue = setTimeout(mine(() => this.#cut("timeout")), timeout);
  }

  #hear(name, data) {
    if (name === "initialized") {
      clearTimeout(this.#overdue);
      this.#ready = true;
      this.#failures = 0;
      this.#expired = false;
      this.cursor = data.cursor;
      this.#tokens.good();
      this.#say("connected");
      this.#hooks.initialized(data);
      if (this.#ready) this.#requests.serve(this.#line);
    } else if (name === "synced") {
      this.cursor = data.cursor;
      this.#hooks.synced(data);
    } else if (name === "tokenAboutToExpire") {
      this.#hooks.tokenAboutToExpire(this.#tokens.left());
      this.#renewToken();
    } else if (name === "tokenExpired") {
      this.#expired = true;
      this.#hooks.tokenExpired();
    } else {
      if (data?.cursor) this.cursor = data.cursor;
      this.#hooks.event(data);
    }
  }

  #renewToken() {
    this.#tokens.renew((token) => this.request("updateToken", { token }, { again: true }));
  }

  #refused(error) {
    this.#forget();
    this.#failures += 1;
    if (error.code === TOKEN_EXPIRED && this.#tokens.drop()) return this.#again(error, this.#tokens.refusals < 2);
    // The server is there and has trouble, or wants to be asked less often.
    if (error.status >= 500 || error.status === 429) return this.#again(error);
    this.#rest(error.status === 401 ? "denied" : "error");
    this.#hooks.failed(error, true);
  }

  #closed(reason, byServer) {
    const wasReady = this.#ready;
    this.#forget();
    const error = new HubbubError(`connection lost: ${reason}`, { reason: "connection" });
    if (this.#expired) {
      error.code = TOKEN_EXPIRED;
      error.status = 401;
    }
    // A server that says goodbye means it, unless it was only for the token, which can be renewed.
    if (byServer && !(this.#expired && this.#tokens.drop())) {
      this.#rest("denied");
      this.#hooks.failed(error, true);
      return;
    }
    if (wasReady) return this.#again(error, byServer);
    this.#next += 1;
    this.#failures += 1;
    // All transports get a chance before anything waits.
    this.#again(error, this.#failures < this.#settings.transports.length);
  }

  /** Gives the line up and dials again. */
  #cut(reason) {
    const line = this.#line;
    if (!line) return;
    line.close();
    this.#closed(reason, false);
  }

  /** Dials again: at once, or when some time has passed. */
  #again(error, atOnce = false) {
    this.#say("connecting");
    this.#hooks.failed(error, false);
    if (!this.#wanted) return;
    const { delay, maxDelay, transports } = this.#settings;
    const round = Math.floor(this.#failures / transports.length);
    const wait = atOnce ? 0 : Math.min(maxDelay, delay * 2 ** round) * (0.5 + Math.random() / 2);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#dial(), wait);
  }

  /** Nothing more is tried. */
  #rest(state) {
    this.#wanted = false;
    clearTimeout(this.#retry);
    this.#retry = null;
    this.#waker.stop();
    const line = this.#line;
    this.#forget();
    line?.close();
    this.#say(state);
  }

  #forget() {
    clearTimeout(this.#overdue);
    this.#line = null;
    this.#ready = false;
    this.#requests.unserve();
  }

  /** The device is awake, or has a network again: no time to lose. */
  #wake() {
    if (this.#retry !== null) {
      this.#dial();
    } else if (this.#ready) {
      // A connection that died in its sleep looks alive until somebody asks.
      const line = this.#line;
      const deaf = setTimeout(() => this.#line === line && this.#cut("asleep"), this.#settings.wakeTimeout);
      line.send("getUser", {}, () => clearTimeout(deaf));
    }
  }

  #say(state) {
    if (this.state === state) return;
    this.state = state;
    this.#hooks.state(state);
  }
}
