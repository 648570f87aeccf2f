// What Hubbub's gateway is measured against: a Socket.IO server over Postgres, as a careful team writes its own. A
// message is stored before it is told and before it is acknowledged; a room's messages keep one order; who comes back
// with a cursor gets what was missed. It has what the load generator needs of Hubbub's doors, and nothing else: no
// tenants, no rights beyond being in a room, no webhooks, no second process.
//
//   node server.mjs DATABASE_URL      prints `socketio listening on http://HOST:PORT`

import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

import pg from "pg";
import { Server } from "socket.io";

const SCHEMA = `
  CREATE TABLE peer_rooms (sid text PRIMARY KEY, name text UNIQUE, next_index bigint NOT NULL DEFAULT 0);
  CREATE TABLE peer_members (identity text NOT NULL, room text NOT NULL, PRIMARY KEY (identity, room));
  CREATE TABLE peer_messages (
    id bigserial PRIMARY KEY, room text NOT NULL, index bigint NOT NULL, author text NOT NULL, body text NOT NULL,
    client_id text, date_created timestamptz NOT NULL DEFAULT now(), UNIQUE (room, index)
  );
  CREATE UNIQUE INDEX peer_messages_client_id ON peer_messages (room, author, client_id) WHERE client_id IS NOT NULL;
`;

// One round trip: the room's row gives the index, so that two messages of a room cannot get the same one.
const STORE = {
  name: "store",
  text: `WITH room AS (UPDATE peer_rooms SET next_index = next_index + 1 WHERE sid = $1 RETURNING next_index - 1 AS index)
         INSERT INTO peer_messages (room, index, author, body, client_id)
         SELECT $1, room.index, $2, $3, $4 FROM room RETURNING id, index, date_created`,
};
const MISSED = {
  name: "missed",
  text: `SELECT m.* FROM peer_messages m JOIN peer_members p ON p.room = m.room
         WHERE p.identity = $1 AND m.id > $2 ORDER BY m.id LIMIT 1000`,
};

const secret = randomBytes(32);
const pool = new pg.Pool({ connectionString: process.argv[2], max: 16 });
await pool.query(SCHEMA);

const sid = (letters) => letters + randomBytes(16).toString("hex");
const sign = (text) => createHmac("sha256", secret).update(text).digest("base64url");

function mint(identity) {
  const claims = Buffer.from(JSON.stringify({ identity })).toString("base64url");
  return `${claims}.${sign(claims)}`;
}

function verify(token) {
  const [claims, signature] = String(token).split(".");
  const [given, expected] = [Buffer.from(signature ?? ""), Buffer.from(sign(claims))];
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw new Error("Invalid access token");
  return JSON.parse(Buffer.from(claims, "base64url").toString()).identity;
}

// --- messages: a room's are stored and told one after the other ---------------------------------------------------

const lanes = new Map();

function inOrder(room, work) {
  const before = lanes.get(room) ?? Promise.resolve();
  const done = before.then(work, work);
  lanes.set(room, done);
  const forget = () => lanes.get(room) === done && lanes.delete(room);
  done.then(forget, forget);
  return done;
}

const resource = (row) => ({
  sid: `IM${row.id}`,
  index: Number(row.index),
  channel_sid: row.room,
  author: row.author,
  body: row.body,
  attributes: "{}",
  date_created: row.date_created,
});

const event = (row) => ({
  id: `EV${row.id}`,
  type: "messageAdded",
  channel_sid: row.room,
  seq: Number(row.index) + 1,
  identity: row.author,
  message: resource(row),
  cursor: String(row.id),
});

function send(room, author, body, clientId, from) {
  return inOrder(room, async () => {
    const { rows } = await pool.query({ ...STORE, values: [room, author, body, clientId ?? null] });
    if (rows.length === 0) throw new Error("no such room");
    const row = { ...rows[0], room, author, body };
    (from ? from.to(room) : io.to(room)).emit("messageAdded", event(row));
    return resource(row);
  });
}

// --- sockets ------------------------------------------------------------------------------------------------------

const http = createServer((request, response) => {
  answer(request, response).catch((error) => reply(response, 500, { message: error.message }));
});
http.keepAliveTimeout = 600_000;

const io = new Server(http, { transports: ["websocket", "polling"], perMessageDeflate: false, serveClient: false });

io.use((socket, next) => {
  try {
    socket.data.identity = verify(socket.handshake.auth.token);
    next();
  } catch (error) {
    next(error);
  }
});

io.on("connection", async (socket) => {
  const { identity } = socket.data;
  const { cursor } = socket.handshake.auth;
  socket.on("sendMessage", async (argument, acknowledge) => {
    try {
      if (!socket.rooms.has(argument.channel)) throw new Error("not a member");
      acknowledge({ ok: true, data: await send(argument.channel, identity, argument.body, argument.client_id, socket) });
    } catch (error) {
      acknowledge({ ok: false, error: { message: error.message } });
    }
  });
  const { rows: rooms } = await pool.query({
    name: "rooms",
    text: "SELECT room FROM peer_members WHERE identity = $1",
    values: [identity],
  });
  await socket.join(rooms.map(({ room }) => room));
  const { rows: last } = await pool.query("SELECT coalesce(max(id), 0) AS id FROM peer_messages");
  socket.emit("initialized", { connection_id: socket.id, user: { identity }, cursor: cursor ?? String(last[0].id) });
  if (cursor !== undefined) {
    const { rows: missed } = await pool.query({ ...MISSED, values: [identity, cursor] });
    for (const row of missed) socket.emit("messageAdded", event(row));
    socket.emit("synced", { complete: missed.length < 1000, cursor: String(missed.at(-1)?.id ?? cursor) });
  }
});

// --- the control plane, as far as the generator asks for it -------------------------------------------------------

function reply(response, status, body) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.end(text);
}

async function form(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return new URLSearchParams(Buffer.concat(chunks).toString());
}

async function answer(request, response) {
  const fields = await form(request);
  const path = new URL(request.url, "http://peer").pathname.split("/").slice(1);
  const [version, , service, collection, room, below] = path;
  if (request.method === "GET") return reply(response, 200, "");
  if (request.method === "DELETE") return reply(response, 204, "");
  if (version !== "v2") return reply(response, 404, { message: "not found" });
  if (service === undefined) return reply(response, 201, { sid: sid("IS") });
  if (collection === undefined) return reply(response, 200, { sid: service });
  if (collection === "AccessTokens") return reply(response, 201, { token: mint(fields.get("Identity")) });
  if (collection === "Channels" && room === undefined) {
    const made = sid("CH");
    await pool.query("INSERT INTO peer_rooms (sid, name) VALUES ($1, $2)", [made, fields.get("UniqueName")]);
    return reply(response, 201, { sid: made });
  }
  if (below === "Members") {
    const member = [fields.get("Identity"), room];
    await pool.query("INSERT INTO peer_members (identity, room) VALUES ($1, $2)", member);
    return reply(response, 201, { sid: sid("MB") });
  }
  if (below === "Messages") {
    return reply(response, 201, await send(room, fields.get("From") ?? "system", fields.get("Body"), null, null));
  }
  return reply(response, 404, { message: "not found" });
}

http.listen(0, "127.0.0.1", () => {
  process.stdout.write(`socketio listening on http://127.0.0.1:${http.address().port}\n`);
});
for (const signal of ["SIGTERM", "SIGINT"]) {
  process.once(signal, () => {
    io.close();
    setImmediate(() => process.exit(0));
  });
}
