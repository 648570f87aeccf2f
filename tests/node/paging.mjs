// Pages through every list with the unmodified twilio-node, and prints the SIDs that came, by list and way of asking.
//
//   node paging.mjs '{"url": …, "accountSid": …, "authToken": …, "serviceSid": …, "small": 7, "limit": 60}'
import twilio from "twilio";

const { url, accountSid, authToken, serviceSid, small, limit } = JSON.parse(process.argv[2]);
const client = twilio(accountSid, authToken);
client.chat.baseUrl = url;
const chat = client.chat.v2;
const service = chat.services(serviceSid);
const general = service.channels("general");
const user = service.users("user 0");

const lists = {
  services: [chat.services, {}],
  credentials: [chat.credentials, {}],
  roles: [service.roles, {}],
  users: [service.users, {}],
  public: [service.channels, {}],
  channels: [service.channels, { type: ["public", "private"] }],
  messages: [general.messages, { order: "asc" }],
  webhooks: [general.webhooks, {}],
  members: [general.members, {}],
  invites: [service.channels("c0").invites, {}],
  bindings: [service.bindings, {}],
  apn: [service.bindings, { bindingType: ["apn"], identity: ["user 0", "nobody"] }],
  user_bindings: [user.userBindings, {}],
  user_channels: [user.userChannels, {}],
};

const answers = {};
for (const [name, [resource, filters]] of Object.entries(lists)) {
  const sids = (found) => found.map((item) => (name === "user_channels" ? item.channelSid : item.sid));
  const each = async (options) => {
    const found = [];
    await new Promise((resolve, reject) =>
      resource.each({ ...filters, ...options, callback: (item) => found.push(item), done: (e) => (e ? reject(e) : resolve()) }),
    );
    return sids(found);
  };
  const few = name === "webhooks" ? 3 : limit;
  answers[name] = {
    whole: sids(await resource.list(filters)),
    small: sids(await resource.list({ ...filters, pageSize: small })),
    limited: sids(await resource.list({ ...filters, limit: few })),
    clamped: sids(await resource.list({ ...filters, limit: 5000 })),
    each: await each({ pageSize: small }),
    eachLimited: await each({ limit: few, pageSize: small }),
  };
}
process.stdout.write(JSON.stringify(answers));
