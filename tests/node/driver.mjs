// Drives sockets of the official client for the Python suites: one JSON object a line, in and out.
//
//   in   {id, op: "open", socket, url, auth, transports, upgrade, returns}
//        {id, op: "emit", socket, event, args, ack}
//        {id, op: "transport" | "disconnect" | "cut", socket}      {id, op: "cutAt", socket, event, count}
//        {id, op: "again", socket, url, auth, pid}                  {id, op: "private", socket}
//   out  {id, ok: true, value} or {id, ok: false, error}            the answer to one request
//        {socket, event, args}                                      what a socket received
//        {socket, lifecycle: "connect" | "connect_error" | "disconnect", value}
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const ACK_TIMEOUT_MS = 15_000;
const sockets = new Map();

const say = (object) => process.stdout.write(`${JSON.stringify(object)}\n`);

function socketNamed(name) {
  const socket = sockets.get(name);
  if (!socket) throw new Error(`no socket named ${name}`);
  return socket;
}

const operations = {
  open({ socket: name, url, auth, transports, upgrade, returns }) {
    let latest = auth;
    const socket = io(url, {
      // Whoever returns does so with the newest cursor.
      auth: (give) => give(latest),
      upgrade,
      forceNew: true,
      reconnection: Boolean(returns),
      reconnectionDelay: 100,
      reconnectionDelayMax: 500,
      timeout: 10_000,
      ...(transports ? { transports } : {}),
    });
    sockets.set(name, socket);
    socket.on("connect", () =>
      say({ socket: name, lifecycle: "connect", value: { id: socket.id, recovered: Boolean(socket.recovered) } }),
    );
    socket.on("connect_error", (error) =>
      say({ socket: name, lifecycle: "connect_error", value: { message: error.message, data: error.data ?? null } }),
    );
    socket.on("disconnect", (reason) => say({ socket: name, lifecycle: "disconnect", value: reason }));
    socket.onAny((event, ...args) => {
      if (args[0]?.cursor) latest = { ...auth, cursor: args[0].cursor };
    });
    socket.onAny((event, ...args) => say({ socket: name, event, args }));
  },

  emit({ socket: name, event, args, ack }) {
    const socket = socketNamed(name);
    return ack ? socket.timeout(ACK_TIMEOUT_MS).emitWithAck(event, ...args) : void socket.emit(event, ...args);
  },

  transport({ socket: name }) {
    return socketNamed(name).io.engine?.transport?.name ?? null;
  },

  disconnect({ socket: name }) {
    socketNamed(name).disconnect();
    sockets.delete(name);
  },

  // The connection is lost without a goodbye from the Socket.IO layer.
  cut({ socket: name }) {
    socketNamed(name).io.engine.close();
  },

  // The same, as soon as so many such events have arrived, and whatever came in one piece with the last of them: what a
  // client has read it tells, as networks do not break within a read.
  cutAt({ socket: name, event, count }) {
    const socket = socketNamed(name);
    let left = count;
    socket.on(event, () => {
      left -= 1;
      if (left === 0) setImmediate(() => socket.io.engine.close());
    });
  },

  // The socket that lost its connection comes back, as it would by itself; to another address, if so balanced.
  again({ socket: name, url, auth, pid }) {
    const socket = socketNamed(name);
    socket.io.uri = url;
    socket.auth = auth;
    if (pid) socket._pid = pid;
    socket.connect();
  },

  // What the client keeps for its recovery.
  private({ socket: name }) {
    const { _pid: pid, _lastOffset: offset } = socketNamed(name);
    return { pid: pid ?? null, offset: offset ?? null };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  Promise.resolve()
    .then(() => operations[request.op](request))
    .then((value) => say({ id: request.id, ok: true, value: value ?? null }))
    .catch((error) => say({ id: request.id, ok: false, error: String(error?.message ?? error) }));
}
process.exit(0);
