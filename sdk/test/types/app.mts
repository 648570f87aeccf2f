// An app in TypeScript: it compiles, and what is wrong in it does not.
import { Channel, Client, HubbubError, type ClientOptions, type ConnectionError, type Member, type Message, type Paginator } from "@hubbub/client";
import { Client as BareClient } from "@hubbub/client/bare";

const options: ClientOptions = { url: "https://chat.example", transports: ["websocket"], tokenProvider: async () => "token" };

export async function app(): Promise<string[]> {
  const client: Client = await Client.create("token", options);
  client.on("stateChanged", (state: "initialized" | "failed") => state);
  client.on("connectionError", ({ terminal, errorCode }: ConnectionError) => terminal && errorCode);
  client.on("tokenAboutToExpire", (left: number) => left).once("tokenExpired", () => {});
  client.on("messageAdded", (message: Message) => message.index);
  client.on("memberUpdated", ({ member, updateReasons }) => updateReasons.includes("lastConsumedMessageIndex") && member.identity);
  const channel: Channel = await client.createChannel({ friendlyName: "General", isPrivate: true });
  const index: number = await channel.sendMessage("hello", { important: true });
  const page: Paginator<Message> = await channel.getMessages(30, index, "backwards");
  const older: Paginator<Message> | null = page.hasPrevPage ? await page.prevPage() : null;
  const member: Member | null = await channel.getMemberByIdentity("bob");
  channel.on("typingStarted", (typist) => typist.getUser().then((user) => user.friendlyName));
  await channel.advanceLastConsumedMessageIndex(index);
  const unread: number | null = await channel.getUnconsumedMessagesCount();
  try {
    await member?.remove();
  } catch (error) {
    if (error instanceof HubbubError && error.code === 50107) return [error.message];
  }
  // @ts-expect-error there is no such event
  client.on("messageArrived", () => {});
  // @ts-expect-error a message is a text
  await channel.sendMessage(new FormData());
  // @ts-expect-error nobody makes channels but the client
  void new Channel();
  // @ts-expect-error the horizon is set by methods
  channel.lastConsumedMessageIndex = 7;
  const other = new BareClient(null, { tokenProvider: async () => "token" });
  await other.shutdown();
  return [...(older?.items ?? []), ...page.items].map((message) => message.body ?? String(unread));
}
