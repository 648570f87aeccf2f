// The demo page: two panes, each of them a chat app of its own on the SDK.
import { Client } from "/sdk/hubbub.js";

const PEOPLE = ["alice", "bob"];
/** How many messages a pane shows. */
const SHOWN = 200;
const NAMES = { connected: "online", connecting: "connecting …", disconnected: "offline" };

async function getToken(person) {
  const answer = await fetch(`/demo/tokens?Identity=${person}`, { method: "POST" });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.message);
  return said;
}

class Pane {
  constructor(person, other) {
    this.person = person;
    this.other = other;
    this.rows = new Map();
    const pane = document.querySelector("template").content.cloneNode(true).firstElementChild;
    pane.dataset.person = person;
    pane.querySelector("h2").textContent = person;
    document.querySelector("main").append(pane);
    this.list = pane.querySelector("ol");
    this.state = pane.querySelector(".state");
    this.presence = pane.querySelector(".presence");
    this.typing = pane.querySelector(".typing");
    this.button = pane.querySelector("header button");
    this.form = pane.querySelector("form");
  }

  async start() {
    const { token, channel: name } = await getToken(this.person);
    const tokenProvider = async () => (await getToken(this.person)).token;
    this.client = new Client(token, { tokenProvider });
    this.client.on("connectionStateChanged", () => this.showState());
    this.client.on("connectionError", ({ message }) => (this.state.title = message));
    this.button.addEventListener("click", () => this.toggle());
    this.channel = await this.client.getChannelByUniqueName(name);
    this.listen();
    const page = await this.channel.getMessages(30);
    page.items.forEach((message) => this.show(message));
    this.them = await this.channel.getMemberByIdentity(this.other);
    this.showMarks();
    await this.watchPresence();
    this.read();
  }

  listen() {
    const { channel } = this;
    for (const name of ["messageSending", "messageFailed", "messageAdded"]) {
      channel.on(name, (message) => this.show(message));
    }
    channel.on("messageAdded", () => this.read());
    channel.on("messageUpdated", ({ message }) => this.show(message));
    channel.on("messageRemoved", (message) => this.drop(message));
    channel.on("typingStarted", (member) => (this.typing.textContent = `${member.identity} is typing …`));
    channel.on("typingEnded", () => (this.typing.textContent = ""));
    channel.on("memberUpdated", () => this.showMarks());
    this.client.on("synced", async ({ complete }) => {
      if (complete) return;
      this.list.replaceChildren();
      this.rows.clear();
      (await channel.getMessages(30)).items.forEach((message) => this.show(message));
    });
    const input = this.form.querySelector("input");
    input.addEventListener("input", () => input.value && channel.typing());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const body = input.value.trim();
      // What goes wrong is shown at the message.
      if (body) channel.sendMessage(body).catch(() => {});
      input.value = "";
    });
  }

  async watchPresence() {
    const user = await this.client.getUser(this.other);
    const show = () => {
      this.presence.textContent = user.online === null ? "" : `${this.other} is ${user.online ? "here" : "away"}`;
    };
    user.on("updated", show);
    show();
  }

  toggle() {
    if (this.client.connectionState === "disconnected" || this.client.connectionState === "denied") this.client.connect();
    else this.client.disconnect();
  }

  showState() {
    const state = this.client.connectionState;
    this.state.textContent = NAMES[state] ?? state;
    if (state === "connected") this.state.title = `over ${this.client.transport}`;
    this.button.textContent = state === "disconnected" || state === "denied" ? "Reconnect" : "Go offline";
  }

  /** Everything up to the newest message has been looked at. */
  read() {
    const newest = this.channel.messages.at(-1);
    if (!newest || document.hidden) return;
    this.channel.advanceLastConsumedMessageIndex(newest.index).catch(() => {});
  }

  show(message) {
    // A message that is being sent has no SID yet; its client id stays the same.
    const key = message.clientId ?? message.sid;
    let row = this.rows.get(key);
    if (!row) {
      row = document.createElement("li");
      row.append(document.createElement("span"), document.createElement("footer"));
      row.lastChild.append(document.createElement("time"), Object.assign(document.createElement("span"), { className: "mark" }));
      this.rows.set(key, row);
    }
    row.message = message;
    row.className = `${message.author === this.person ? "own" : ""} ${message.state}`;
    row.firstChild.textContent = message.body;
    row.title = message.error?.message ?? "";
    const time = message.dateCreated ?? new Date();
    row.querySelector("time").textContent = time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    this.place(row);
    this.showMark(row);
  }

  /** In the order of the server, what is not there yet at the end. */
  place(row) {
    const order = ({ message }) => message.index ?? Infinity;
    const rows = [...this.list.children].filter((other) => other !== row);
    const next = rows.find((other) => order(other) > order(row));
    if (row.parentNode && row.nextElementSibling === (next ?? null)) return;
    const atEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 40;
    this.list.insertBefore(row, next ?? null);
    if (this.list.children.length > SHOWN) this.drop(this.list.firstChild.message);
    if (atEnd) this.list.scrollTop = this.list.scrollHeight;
  }

  drop(message) {
    const key = message.clientId ?? message.sid;
    this.rows.get(key)?.remove();
    this.rows.delete(key);
  }

  showMarks() {
    for (const row of this.list.children) this.showMark(row);
  }

  showMark(row) {
    const { message } = row;
    if (message.author !== this.person) return;
    const seen = message.index !== null && message.index <= (this.them?.lastConsumedMessageIndex ?? -1);
    row.querySelector(".mark").textContent = message.state === "sent" ? (seen ? "✓✓ read" : "✓ sent") : message.state;
  }
}

for (const person of PEOPLE) {
  const pane = new Pane(person, PEOPLE.find((other) => other !== person));
  pane.start().catch((error) => (pane.state.textContent = `failed: ${error.message}`));
}
