// What the server serves at /sdk/: the client without any library. The statement below lists what the served module
// exports and what the served script has in its global `Hubbub`.
import { Channel } from "./channel.js";
import { Client } from "./client.js";
import { ChannelDescriptor } from "./descriptors.js";
import { HubbubError } from "./errors.js";
import { Member } from "./member.js";
import { Message } from "./message.js";
import { Paginator } from "./paginator.js";
import { User, UserDescriptor } from "./user.js";

export { Channel, ChannelDescriptor, Client, HubbubError, Member, Message, Paginator, User, UserDescriptor };
