/**
 * Lines over the official `socket.io-client`, whose `io` is given. One line is one connection: coming back is the
 * connection's business, so the library's own reconnection is off.
 */
export function socketIoLines(io) {
  return function dial({ url, path, transport, auth, timeout }, hooks) {
    let over = false;
    const socket = io(url, {
      path,
      auth: (send) => send(auth),
      transports: [transport],
      upgrade: false,
      forceNew: true,
      reconnection: false,
      timeout,
    });
    const finish = () => {
      over = true;
      socket.offAny();
      socket.removeAllListeners();
      socket.disconnect();
    };
    const end = (tell) => {
      if (over) return;
      finish();
      tell();
    };
    socket.on("connect_error", (error) => {
      // The library gives a socket up that the server has refused, and keeps one whose transport failed.
      const refused = !socket.active;
      end(() => (refused ? hooks.refused({ message: error.message, ...error.data }) : hooks.closed(error.message, false)));
    });
    socket.on("disconnect", (reason) => end(() => hooks.closed(reason, reason === "io server disconnect")));
    socket.onAny((name, argument) => {
      if (!over) hooks.event(name, argument);
    });
    return {
      transport,
      send(name, argument, answered) {
        if (!over) socket.emit(name, argument, answered);
      },
      close() {
        if (!over) finish();
      },
    };
  };
}
