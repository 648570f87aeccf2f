// The types of @hubbub/client. Shaped like Twilio's Programmable Chat SDK; what goes beyond it is marked with +.

/** Any JSON value. */
export type JsonValue = null | boolean | number | string | JsonValue[] | { [name: string]: JsonValue };
/** Attributes: an object as a rule. */
export type Attributes = any;

export type ClientState = "initialized" | "failed";
export type ConnectionState = "unknown" | "connecting" | "connected" | "disconnecting" | "disconnected" | "denied" | "error";
export type Transport = "websocket" | "polling";
export type ChannelStatus = "unknown" | "notParticipating" | "invited" | "joined";
export type NotificationLevel = "default" | "muted";
export type MessageState = "sending" | "sent" | "failed";

export type ChannelUpdateReason =
  | "attributes" | "createdBy" | "dateCreated" | "dateUpdated" | "friendlyName" | "lastConsumedMessageIndex" | "lastMessage"
  | "notificationLevel" | "status" | "type" | "unconsumedMessagesCount" | "uniqueName";
export type MemberUpdateReason = "attributes" | "lastConsumedMessageIndex" | "lastConsumptionTimestamp" | "roleSid" | "sid";
export type MessageUpdateReason =
  | "attributes" | "author" | "body" | "clientId" | "dateCreated" | "dateUpdated" | "index" | "lastUpdatedBy" | "media" | "sid"
  | "state" | "type" | "wasEdited";
export type UserUpdateReason = "attributes" | "friendlyName" | "notifiable" | "online";

export interface ConnectionError {
  /** Whether the client has given up: a new token or `connect` is needed. */
  terminal: boolean;
  message: string;
  httpStatusCode?: number;
  errorCode?: number;
}

export interface ClientOptions {
  /** The server's address; in a page its own origin, unless given. */
  url?: string;
  path?: string;
  /** In the order tried: `["websocket", "polling"]`. */
  transports?: Transport[];
  /** Gets a token: called when there is none, before one ends, and when one is refused as expired. */
  tokenProvider?: () => Promise<string>;
  /** Where another client of the same user stood: what it missed is told. */
  cursor?: string;
  /** How many messages of a channel are kept: 200. */
  maxCachedMessages?: number;
  /** `io` of socket.io-client, for the client that comes without it. */
  io?: (url: string, options: object) => object;
  /** Milliseconds that a connection may take: 10,000. */
  timeout?: number;
  /** Milliseconds after which a connection that does not answer is given up: 20,000. */
  ackTimeout?: number;
  /** Milliseconds that a request may take in all, without a connection too: 60,000. Messages wait for ever. */
  patience?: number;
  /** Milliseconds that a connection may take to answer after a sleep: 5,000. */
  wakeTimeout?: number;
  /** Milliseconds before a lost connection is dialled again, at first: 500. */
  delay?: number;
  /** The same, at most: 10,000. */
  maxDelay?: number;
  /** Milliseconds between two reports that the user types: 2,000. */
  typingInterval?: number;
}

/** Tells events by name. Events before the first listener of their name wait for it. */
declare class Emitter<Events> {
  on<Name extends keyof Events>(name: Name, listener: (value: Events[Name]) => void): this;
  addListener<Name extends keyof Events>(name: Name, listener: (value: Events[Name]) => void): this;
  once<Name extends keyof Events>(name: Name, listener: (value: Events[Name]) => void): this;
  off<Name extends keyof Events>(name: Name, listener: (value: Events[Name]) => void): this;
  removeListener<Name extends keyof Events>(name: Name, listener: (value: Events[Name]) => void): this;
  removeAllListeners(name?: keyof Events): this;
  listenerCount(name?: keyof Events): number;
}

export interface ClientEvents {
  stateChanged: ClientState;
  connectionStateChanged: ConnectionState;
  connectionError: ConnectionError;
  /** Milliseconds until it ends. */
  tokenAboutToExpire: number;
  tokenExpired: void;
  channelAdded: Channel;
  channelJoined: Channel;
  channelInvited: Channel;
  channelLeft: Channel;
  channelRemoved: Channel;
  channelUpdated: { channel: Channel; updateReasons: ChannelUpdateReason[] };
  memberJoined: Member;
  memberLeft: Member;
  memberUpdated: { member: Member; updateReasons: MemberUpdateReason[] };
  messageAdded: Message;
  messageRemoved: Message;
  messageUpdated: { message: Message; updateReasons: MessageUpdateReason[] };
  /** + It shows up as being sent. */
  messageSending: Message;
  /** + The server does not want it; see its `error`. */
  messageFailed: Message;
  typingStarted: Member;
  typingEnded: Member;
  userSubscribed: User;
  userUnsubscribed: User;
  userUpdated: { user: User; updateReasons: UserUpdateReason[] };
  /** + After a reconnect everything is up to date. Not complete: what the client knows was read anew. */
  synced: { complete: boolean };
}

export class Client extends Emitter<ClientEvents> {
  static readonly version: string;
  static create(token: string | null, options?: ClientOptions): Promise<Client>;
  constructor(token: string | null, options?: ClientOptions);
  readonly version: string;
  readonly state: ClientState | null;
  readonly connectionState: ConnectionState;
  readonly token: string | null;
  readonly user: User;
  readonly reachabilityEnabled: boolean;
  /** + */
  readonly transport: Transport | null;
  /** + */
  readonly cursor: string | null;
  updateToken(token: string): Promise<Client>;
  /** + Goes offline; what is said meanwhile waits. */
  disconnect(): void;
  /** + */
  connect(): void;
  shutdown(): Promise<void>;
  getUser(identity?: string): Promise<User>;
  getUserDescriptor(identity: string): Promise<UserDescriptor>;
  getSubscribedUsers(): Promise<User[]>;
  getChannelBySid(sid: string): Promise<Channel>;
  getChannelByUniqueName(uniqueName: string): Promise<Channel>;
  getSubscribedChannels(): Promise<Paginator<Channel>>;
  /** + */
  getInvitedChannels(): Promise<Paginator<Channel>>;
  getLocalChannels(sorting?: {
    criteria?: "lastMessage" | "friendlyName" | "uniqueName";
    order?: "ascending" | "descending";
  }): Channel[];
  getPublicChannelDescriptors(): Promise<Paginator<ChannelDescriptor>>;
  getUserChannelDescriptors(): Promise<Paginator<ChannelDescriptor>>;
  createChannel(options?: {
    attributes?: Attributes;
    friendlyName?: string;
    isPrivate?: boolean;
    uniqueName?: string;
  }): Promise<Channel>;
  /** + */
  dropMessages(): void;
}

export interface ChannelEvents {
  memberJoined: Member;
  memberLeft: Member;
  memberUpdated: { member: Member; updateReasons: MemberUpdateReason[] };
  messageAdded: Message;
  messageRemoved: Message;
  messageUpdated: { message: Message; updateReasons: MessageUpdateReason[] };
  messageSending: Message;
  messageFailed: Message;
  typingStarted: Member;
  typingEnded: Member;
  updated: { channel: Channel; updateReasons: ChannelUpdateReason[] };
  removed: Channel;
}

export class Channel extends Emitter<ChannelEvents> {
  private constructor();
  readonly sid: string;
  readonly uniqueName: string | null;
  readonly friendlyName: string | null;
  readonly type: "public" | "private";
  readonly isPrivate: boolean;
  readonly status: ChannelStatus;
  readonly attributes: Attributes;
  readonly createdBy: string;
  readonly dateCreated: Date;
  readonly dateUpdated: Date;
  readonly lastConsumedMessageIndex: number | null;
  /** + Null until a horizon was set. */
  readonly unconsumedMessagesCount: number | null;
  readonly lastMessage: { index: number; dateCreated: Date } | null;
  readonly notificationLevel: NotificationLevel;
  /** + The messages that are kept, in order. */
  readonly messages: Message[];
  /** + The messages that are being sent or have failed, in the order said. */
  readonly pendingMessages: Message[];
  add(identity: string): Promise<void>;
  invite(identity: string): Promise<void>;
  join(): Promise<Channel>;
  leave(): Promise<Channel>;
  decline(): Promise<Channel>;
  delete(): Promise<Channel>;
  removeMember(member: Member | string): Promise<void>;
  getMembers(): Promise<Member[]>;
  getMembersCount(): Promise<number>;
  getMemberBySid(sid: string): Promise<Member | null>;
  getMemberByIdentity(identity: string): Promise<Member | null>;
  getUserDescriptors(): Promise<UserDescriptor[]>;
  /** Resolves to the message's index when the server has it. */
  sendMessage(body: string, attributes?: Attributes): Promise<number>;
  getMessages(pageSize?: number, anchor?: number | "end", direction?: "backwards" | "forward"): Promise<Paginator<Message>>;
  getMessagesCount(): Promise<number>;
  getUnconsumedMessagesCount(): Promise<number | null>;
  advanceLastConsumedMessageIndex(index: number): Promise<number>;
  updateLastConsumedMessageIndex(index: number): Promise<number>;
  setAllMessagesConsumed(): Promise<number | null>;
  setNoMessagesConsumed(): Promise<number | null>;
  setUserNotificationLevel(level: NotificationLevel): Promise<void>;
  typing(): Promise<void>;
  getAttributes(): Promise<Attributes>;
  updateAttributes(attributes: Attributes): Promise<Channel>;
  updateFriendlyName(friendlyName: string): Promise<Channel>;
  updateUniqueName(uniqueName: string | null): Promise<Channel>;
  /** + */
  dropMessages(): void;
}

export interface MessageEvents {
  updated: { message: Message; updateReasons: MessageUpdateReason[] };
}

export class Message extends Emitter<MessageEvents> {
  private constructor();
  readonly channel: Channel;
  /** Null while it is being sent. */
  readonly sid: string | null;
  /** Null while it is being sent. */
  readonly index: number | null;
  readonly author: string;
  readonly body: string | null;
  readonly type: "text" | "media";
  readonly media: object | null;
  readonly attributes: Attributes;
  readonly memberSid: string | null;
  readonly dateCreated: Date | null;
  readonly dateUpdated: Date | null;
  readonly lastUpdatedBy: string | null;
  /** + */
  readonly wasEdited: boolean;
  /** + */
  readonly clientId: string | null;
  /** + */
  readonly state: MessageState;
  /** + */
  readonly error: HubbubError | null;
  getMember(): Promise<Member | null>;
  updateBody(body: string): Promise<Message>;
  updateAttributes(attributes: Attributes): Promise<Message>;
  remove(): Promise<Message>;
  /** + */
  resend(): Promise<number>;
}

export interface MemberEvents {
  typingStarted: Member;
  typingEnded: Member;
  updated: { member: Member; updateReasons: MemberUpdateReason[] };
}

export class Member extends Emitter<MemberEvents> {
  private constructor();
  readonly channel: Channel;
  readonly sid: string;
  readonly identity: string;
  readonly type: "chat";
  readonly isTyping: boolean;
  readonly roleSid: string | null;
  readonly attributes: Attributes;
  readonly lastConsumedMessageIndex: number | null;
  readonly lastConsumptionTimestamp: Date | null;
  getUser(): Promise<User>;
  getUserDescriptor(): Promise<UserDescriptor>;
  updateAttributes(attributes: Attributes): Promise<Member>;
  remove(): Promise<void>;
}

export interface UserEvents {
  updated: { user: User; updateReasons: UserUpdateReason[] };
}

export class User extends Emitter<UserEvents> {
  private constructor();
  readonly sid: string;
  readonly identity: string;
  readonly friendlyName: string | null;
  readonly attributes: Attributes;
  /** Null unless the service tells who is online. */
  readonly online: boolean | null;
  readonly notifiable: boolean | null;
  readonly isSubscribed: boolean;
  updateFriendlyName(friendlyName: string): Promise<User>;
  updateAttributes(attributes: Attributes): Promise<User>;
  unsubscribe(): Promise<void>;
}

export class UserDescriptor {
  private constructor();
  readonly identity: string;
  readonly friendlyName: string | null;
  readonly attributes: Attributes;
  readonly online: boolean | null;
  readonly notifiable: boolean | null;
  subscribe(): Promise<User>;
}

export class ChannelDescriptor {
  private constructor();
  readonly sid: string;
  readonly uniqueName: string | null;
  readonly friendlyName: string | null;
  readonly type: "public" | "private";
  readonly isPrivate: boolean;
  readonly attributes: Attributes;
  readonly createdBy: string;
  readonly dateCreated: Date;
  readonly dateUpdated: Date;
  readonly messagesCount: number;
  readonly membersCount: number;
  readonly status: ChannelStatus;
  readonly lastConsumedMessageIndex: number | null;
  getChannel(): Promise<Channel>;
}

export class Paginator<Item> {
  private constructor();
  readonly items: Item[];
  readonly hasNextPage: boolean;
  readonly hasPrevPage: boolean;
  nextPage(): Promise<Paginator<Item>>;
  prevPage(): Promise<Paginator<Item>>;
}

export class HubbubError extends Error {
  /** The server's, the same as over REST; null when it was not reached. */
  readonly code: number | null;
  readonly status: number | null;
  readonly moreInfo: string | null;
  readonly reason: "refused" | "connection" | "timeout" | "shutdown" | "usage";
}
