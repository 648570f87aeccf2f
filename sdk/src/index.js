// What the npm package exports: the client on the official socket.io-client.
import { io } from "socket.io-client";
import { Client as BareClient } from "./client.js";

export { Channel, ChannelDescriptor, HubbubError, Member, Message, Paginator, User, UserDescriptor } from "./served.js";

/** The client on `socket.io-client`. */
export class Client extends BareClient {
  constructor(token, options = {}) {
    super(token, { io, ...options });
  }
}
