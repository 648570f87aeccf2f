/** Engine.IO over a WebSocket. */
export function websocketEngine(address, take, lost) {
  if (typeof WebSocket === "undefined") throw new Error("there is no WebSocket here");
  const url = new URL(address);
  url.protocol = url.protocol.replace("http", "ws");
  const socket = new WebSocket(url);
  socket.onmessage = ({ data }) => {
    if (typeof data === "string") take(data);
    else lost("parse error");
  };
  socket.onerror = () => lost("websocket error");
  socket.onclose = () => lost("transport close");
  return {
    send(packet) {
      if (socket.readyState === 1) socket.send(packet);
    },
    close() {
      socket.onmessage = socket.onerror = socket.onclose = null;
      // A socket that is still opening may complain when it is closed: nobody is interested any more.
      socket.onerror = () => {};
      socket.close();
    },
  };
}
