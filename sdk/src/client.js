import { Connection } from "./connection.js";
import { Backlog, Emitter } from "./emitter.js";
import { HubbubError } from "./errors.js";
import { Session } from "./session.js";
import { bareLines } from "./transport/bare.js";
import { socketIoLines } from "./transport/socket_io.js";
import { VERSION } from "./version.js";
import { attributesText, given } from "./wire.js";

/** How many events wait for their first listener, of the client and of all that it knows. */
const UNHEARD = 1_000;

const DEFAULTS = {
  path: "/socket.io/",
  transports: ["websocket", "polling"],
  maxCachedMessages: 200,
  /** Milliseconds: to get connected, for one answer, for a request in all, to hear from a line after a sleep. */
  timeout: 10_000,
  ackTimeout: 20_000,
  patience: 60_000,
  wakeTimeout: 5_000,
  /** Before a lost connection is dialled again, at first and at most. */
  delay: 500,
  maxDelay: 10_000,
  typingInterval: 2_000,
};

/**
 * A chat user's connection to the service. Connects when it is made; `stateChanged` "initialized" says that it is
 * ready.
 */
export class Client extends Emitter {
  #session;
  #connection;
  #state = null;
  #ended = false;
  /** Told when it is ready, or that it is refused. */
  #decided = null;
  /** Whether what is known may be out of date. */
  #stale = false;
  #reading = false;

  static get version() {
    return VERSION;
  }

  /** Connects, and resolves to the client when it is ready; fails when it is refused. */
  static create(token, options) {
    return new Promise((resolve, reject) => {
      const client = new this(token, options);
      client.#decided = (error) => {
        if (!error) return resolve(client);
        client.shutdown();
        return reject(error);
      };
    });
  }

  constructor(token, options = {}) {
    const backlog = new Backlog(UNHEARD);
    super(backlog);
    const settings = { ...DEFAULTS, ...given(options), token };
    settings.url ??= globalThis.location?.origin;
    if (!settings.url) throw new TypeError("options.url is missing: the address of the server, such as https://chat.example");
    if (!token && !settings.tokenProvider) throw new TypeError("a token is missing, or options.tokenProvider that gets one");
    settings.dial ??= settings.io ? socketIoLines(settings.io) : bareLines();
    this.#session = new Session(this, settings, backlog);
    this.#connection = new Connection(settings, {
      state: (state) => this.#connectionIs(state),
      failed: (error, terminal) => this.#failed(error, terminal),
      initialized: (data) => this.#initialized(data),
      synced: (data) => this.#synced(data),
      event: (event) => this.#session.take(event),
      tokenAboutToExpire: (left) => this.emit("tokenAboutToExpire", left),
      tokenExpired: () => this.emit("tokenExpired"),
    });
    this.#session.attach(this.#connection);
    this.#connection.start();
  }

  // --- the connection

  get connectionState() {
    return this.#connection.state;
  }

  /** "initialized", "failed", or null as long as nothing is decided. */
  get state() {
    return this.#state;
  }

  get token() {
    return this.#connection.token;
  }

  /** "websocket", "polling", or null without a connection. */
  get transport() {
    return this.#connection.transport;
  }

  /** Where the client stands: another client of the user that is given it as an option goes on from there. */
  get cursor() {
    return this.#connection.cursor;
  }

  get version() {
    return VERSION;
  }

  /** Goes on with another token of the same user. */
  async updateToken(token) {
    await this.#connection.updateToken(token);
    return this;
  }

  /** Goes offline until `connect`. What is said meanwhile waits. */
  disconnect() {
    this.#connection.stop();
  }

  connect() {
    if (this.#ended) throw new HubbubError("the client was shut down", { reason: "shutdown" });
    this.#connection.start();
  }

  /** Ends the client for good. */
  async shutdown() {
    this.#ended = true;
    this.#connection.end();
    this.#session.outbox.end();
    this.#session.end();
    this.#session.backlog.clear();
  }

  // --- users

  get user() {
    return this.#session.users.own;
  }

  /** Whether the service tells who is online. */
  get reachabilityEnabled() {
    return typeof this.user?.online === "boolean";
  }

  /** The user, who is followed from now on; without an identity the client's own. */
  async getUser(identity) {
    return this.#session.users.get(identity);
  }

  async getUserDescriptor(identity) {
    return this.#session.userDescriptor(identity);
  }

  async getSubscribedUsers() {
    return this.#session.users.all;
  }

  // --- channels

  async getChannelBySid(sid) {
    return this.#session.channels.get(sid) ?? this.#session.channels.fetch(sid);
  }

  async getChannelByUniqueName(uniqueName) {
    return this.#session.channels.byUniqueName(uniqueName) ?? this.#session.channels.fetch(uniqueName);
  }

  /** The channels that the user is a member of, latest activity first. */
  async getSubscribedChannels() {
    return this.#session.channels.joined();
  }

  /** The channels that the user is invited to. */
  async getInvitedChannels() {
    return this.#session.channels.joined("invited");
  }

  /** The channels that the client knows already. */
  getLocalChannels({ criteria, order = "ascending" } = {}) {
    const channels = this.#session.channels.kept;
    if (!criteria) return channels;
    const sign = order === "descending" ? -1 : 1;
    const key = (channel) => (criteria === "lastMessage" ? (channel.lastMessage?.dateCreated?.getTime() ?? 0) : (channel[criteria] ?? ""));
    return channels.sort((one, other) => sign * (key(one) < key(other) ? -1 : key(one) > key(other) ? 1 : 0));
  }

  async getPublicChannelDescriptors() {
    return this.#session.channels.publicDescriptors();
  }

  async getUserChannelDescriptors() {
    return this.#session.channels.descriptors();
  }

  async createChannel({ attributes, friendlyName, isPrivate = false, uniqueName } = {}) {
    const wire = await this.#session.request(
      "createChannel",
      given({
        friendly_name: friendlyName,
        unique_name: uniqueName,
        attributes: attributesText(attributes),
        type: isPrivate ? "private" : "public",
      }),
    );
    const channel = this.#session.channels.introduce(wire);
    // Its creator is a member.
    channel._became("joined");
    return channel;
  }

  /** Forgets the messages that are kept, of all channels. */
  dropMessages() {
    for (const channel of this.#session.channels.kept) channel.dropMessages();
  }

  // --- what the connection tells

  #connectionIs(state) {
    if (state !== "connected") this.#session.offline();
    this.emit("connectionStateChanged", state);
  }

  #failed(error, terminal) {
    this.emit("connectionError", {
      terminal,
      message: error.message,
      httpStatusCode: error.status ?? undefined,
      errorCode: error.code ?? undefined,
    });
    if (terminal && this.#state === null) this.#become("failed", error);
  }

  #initialized(data) {
    this.#session.initialized(data);
    if (this.#state !== "initialized") this.#become("initialized");
  }

  #become(state, error) {
    this.#state = state;
    this.emit("stateChanged", state);
    this.#decided?.(error);
    this.#decided = null;
  }

  async #synced({ complete }) {
    if (!complete) this.#stale = true;
    if (this.#stale && !this.#reading) await this.#readAnew();
    this.emit("synced", { complete });
  }

  async #readAnew() {
    this.#reading = true;
    try {
      while (this.#stale && !this.#ended) {
        this.#stale = false;
        await this.#session.readAnew();
      }
    } catch (error) {
      // The next connection brings another chance.
      this.#stale = true;
      if (!this.#ended) {
        this.emit("connectionError", { terminal: false, message: `not everything could be read anew: ${error.message}` });
      }
    }
    this.#reading = false;
  }
}
