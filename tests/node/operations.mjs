// Every operation of Chat v2 through the unmodified twilio-node. The answers are judged by who listens on the wire; here
// it is asserted that the library understands them.
//
//   node operations.mjs '{"url": …, "accountSid": …, "authToken": …}'
import assert from "node:assert/strict";
import twilio from "twilio";

const { url, accountSid, authToken } = JSON.parse(process.argv[2]);
const client = twilio(accountSid, authToken);
client.chat.baseUrl = url;
const chat = client.chat.v2;

const LONG_AGO = new Date("2016-03-24T21:05:50Z");
const LATER = new Date("2016-03-25T21:05:50Z");
const NAME = "a channel @ Zürich-日本-🙂";
const BOB = "bob @ Zürich-日本-🙂";
const sids = (resources) => resources.map(({ sid }) => sid);

// --- service

const made = await chat.services.create({ friendlyName: "every operation" });
const service = chat.services(made.sid);
const defaults = new Map((await service.roles.list()).map((role) => [role.friendlyName, role.sid]));
const updated = await service.update({
  friendlyName: "Every Operation",
  defaultServiceRoleSid: defaults.get("service user"),
  defaultChannelRoleSid: defaults.get("channel user"),
  defaultChannelCreatorRoleSid: defaults.get("channel admin"),
  readStatusEnabled: false,
  reachabilityEnabled: true,
  typingIndicatorTimeout: 7,
  consumptionReportInterval: 11,
  "notifications.newMessage.enabled": true,
  "notifications.newMessage.template": "${USER}: ${MESSAGE}",
  "notifications.newMessage.sound": "ding",
  "notifications.newMessage.badgeCountEnabled": true,
  "notifications.addedToChannel.enabled": true,
  "notifications.addedToChannel.template": "added",
  "notifications.addedToChannel.sound": "dong",
  "notifications.removedFromChannel.enabled": true,
  "notifications.removedFromChannel.template": "removed",
  "notifications.removedFromChannel.sound": "gong",
  "notifications.invitedToChannel.enabled": true,
  "notifications.invitedToChannel.template": "invited",
  "notifications.invitedToChannel.sound": "bell",
  preWebhookUrl: "http://127.0.0.1:9/pre",
  postWebhookUrl: "http://127.0.0.1:9/post",
  webhookMethod: "POST",
  webhookFilters: ["onMessageSent", "onChannelAdded"],
  "limits.channelMembers": 500,
  "limits.userChannels": 400,
  "media.compatibilityMessage": "a picture was sent",
  preWebhookRetryCount: 1,
  postWebhookRetryCount: 2,
  "notifications.logEnabled": true,
});
const fetched = await service.fetch();
for (const shown of [updated, fetched]) {
  assert.equal(shown.friendlyName, "Every Operation");
  assert.deepEqual(shown.limits, { channel_members: 500, user_channels: 400 });
  assert.deepEqual(shown.notifications.new_message, {
    enabled: true,
    template: "${USER}: ${MESSAGE}",
    sound: "ding",
    badge_count_enabled: true,
  });
  assert.equal(shown.media.compatibility_message, "a picture was sent");
  assert.equal(shown.readStatusEnabled, false);
  assert.ok(shown.dateCreated instanceof Date && !Number.isNaN(shown.dateCreated.valueOf()));
}
await service.update({ preWebhookUrl: "", postWebhookUrl: "", webhookFilters: [""] });
assert.ok(sids(await chat.services.list({ limit: 200 })).includes(made.sid));

// --- channels

const plain = await service.channels.create();
assert.equal(plain.friendlyName, null);
const imported = await service.channels.create({
  xTwilioWebhookEnabled: "true",
  friendlyName: "Imported",
  uniqueName: "imported",
  attributes: '{"a": {"b": [1, null]}}',
  type: "private",
  dateCreated: LONG_AGO,
  dateUpdated: LONG_AGO,
  createdBy: "alice",
});
assert.deepEqual([imported.dateCreated, imported.createdBy, imported.type], [LONG_AGO, "alice", "private"]);
const renamed = await service.channels("imported").update({
  xTwilioWebhookEnabled: "false",
  friendlyName: "A channel",
  uniqueName: NAME,
  attributes: '{"a": 2}',
  dateCreated: LATER,
  dateUpdated: LATER,
  createdBy: "carol",
});
assert.deepEqual([renamed.uniqueName, renamed.dateUpdated, renamed.createdBy], [NAME, LATER, "carol"]);
const channel = service.channels(NAME);
assert.equal((await channel.fetch()).sid, imported.sid);
assert.deepEqual(sids(await service.channels.list({ type: ["public", "private"] })).sort(), [plain.sid, imported.sid].sort());
assert.equal(await service.channels(plain.sid).remove({ xTwilioWebhookEnabled: "true" }), true);

// --- roles and users

const role = await service.roles.create({
  friendlyName: "sender",
  type: "channel",
  permission: ["sendMessage", "leaveChannel"],
});
assert.deepEqual((await service.roles(role.sid).update({ permission: ["sendMessage"] })).permissions, ["sendMessage"]);
assert.deepEqual((await service.roles(role.sid).fetch()).permissions, ["sendMessage"]);
assert.ok(sids(await service.roles.list()).includes(role.sid));
const joiner = await service.roles.create({ friendlyName: "joiner", type: "deployment", permission: ["joinChannel"] });
const alice = await service.users.create({
  identity: "alice",
  xTwilioWebhookEnabled: "true",
  roleSid: joiner.sid,
  attributes: '{"team": "red"}',
  friendlyName: "Alice",
});
assert.deepEqual([alice.roleSid, alice.joinedChannelsCount], [joiner.sid, 0]);
const bob = await service.users.create({ identity: BOB });
await service.users(BOB).update({
  xTwilioWebhookEnabled: "true",
  roleSid: joiner.sid,
  attributes: '"text"',
  friendlyName: "Bob",
});
assert.equal((await service.users(BOB).fetch()).friendlyName, "Bob");
assert.deepEqual(sids(await service.users.list()), [alice.sid, bob.sid]);

// --- members

const admin = defaults.get("channel admin");
await channel.members.create({ identity: "carol" });
const member = await channel.members.create({
  identity: BOB,
  xTwilioWebhookEnabled: "true",
  roleSid: admin,
  lastConsumedMessageIndex: 0,
  lastConsumptionTimestamp: LONG_AGO,
  dateCreated: LONG_AGO,
  dateUpdated: LONG_AGO,
  attributes: '{"mute": false}',
});
assert.deepEqual([member.roleSid, member.lastConsumedMessageIndex, member.dateCreated], [admin, 0, LONG_AGO]);
const changed = await channel.members(BOB).update({
  xTwilioWebhookEnabled: "true",
  roleSid: admin,
  lastConsumedMessageIndex: 0,
  lastConsumptionTimestamp: LATER,
  dateCreated: LONG_AGO,
  dateUpdated: LONG_AGO,
  attributes: '{"mute": true}',
});
assert.deepEqual([changed.sid, changed.lastConsumptionTimestamp], [member.sid, LATER]);
assert.equal((await channel.members(member.sid).fetch()).identity, BOB);
assert.deepEqual(sids(await channel.members.list({ identity: [BOB] })), [member.sid]);
assert.equal(await channel.members("carol").remove({ xTwilioWebhookEnabled: "true" }), true);

// --- messages

const hello = await channel.messages.create({ body: "hello" });
assert.deepEqual([hello.from, hello.index, hello.attributes], ["system", 0, "{}"]);
const message = await channel.messages.create({
  xTwilioWebhookEnabled: "true",
  from: BOB,
  attributes: '{"mood": "good"}',
  dateCreated: LONG_AGO,
  dateUpdated: LONG_AGO,
  lastUpdatedBy: "carol",
  body: "imported",
});
assert.deepEqual([message.from, message.wasEdited, message.dateCreated], [BOB, true, LONG_AGO]);
await channel.messages(message.sid).update({
  xTwilioWebhookEnabled: "true",
  body: "edited",
  attributes: "{}",
  dateCreated: LONG_AGO,
  dateUpdated: LONG_AGO,
  lastUpdatedBy: "dave",
  from: "carol",
});
assert.equal((await channel.messages(message.sid).fetch()).body, "edited");
assert.deepEqual(sids(await channel.messages.list({ order: "desc" })), [message.sid, hello.sid]);
assert.equal(await channel.messages(hello.sid).remove({ xTwilioWebhookEnabled: "true" }), true);

// --- invites

await service.users.create({ identity: "erin @ home" });
const invite = await channel.invites.create({ identity: "erin @ home", roleSid: admin });
const another = await channel.invites.create({ identity: "carol" });
assert.deepEqual([invite.roleSid, invite.createdBy], [admin, "system"]);
assert.equal((await channel.invites(invite.sid).fetch()).identity, "erin @ home");
assert.deepEqual(sids(await channel.invites.list({ identity: ["erin @ home"] })), [invite.sid]);
assert.equal(await channel.invites(another.sid).remove(), true);

// --- channel webhooks

const hook = await channel.webhooks.create({
  type: "webhook",
  "configuration.url": "http://127.0.0.1:9/hook",
  "configuration.method": "GET",
  "configuration.filters": ["onMessageSent", "onMemberAdded"],
  "configuration.retryCount": 3,
});
assert.deepEqual([hook.configuration.method, hook.configuration.retry_count], ["GET", 3]);
const trigger = await channel.webhooks.create({
  type: "trigger",
  "configuration.url": "http://127.0.0.1:9/trigger",
  "configuration.method": "POST",
  "configuration.triggers": ["help", "stop"],
});
const studio = await channel.webhooks.create({ type: "studio", "configuration.flowSid": `FW${"a".repeat(32)}` });
await channel.webhooks(hook.sid).update({
  "configuration.url": "http://127.0.0.1:9/other",
  "configuration.method": "POST",
  "configuration.filters": ["onMessageRemoved"],
  "configuration.retryCount": 0,
});
assert.deepEqual((await channel.webhooks(hook.sid).fetch()).configuration.filters, ["onMessageRemoved"]);
assert.deepEqual(sids(await channel.webhooks.list()).sort(), [hook.sid, trigger.sid, studio.sid].sort());
assert.equal(await channel.webhooks(studio.sid).remove(), true);

// --- credentials and bindings

const fcm = await chat.credentials.create({ type: "fcm", friendlyName: "fcm", secret: "a secret" });
const apn = await chat.credentials.create({
  type: "apn",
  friendlyName: "apn",
  certificate: "a certificate",
  privateKey: "a private key",
  sandbox: true,
});
const gcm = await chat.credentials.create({ type: "gcm", friendlyName: "gcm", apiKey: "a key" });
assert.equal(apn.sandbox, "True");
assert.equal((await chat.credentials(fcm.sid).update({ friendlyName: "fcm 2", secret: "another" })).friendlyName, "fcm 2");
assert.equal((await chat.credentials(fcm.sid).fetch()).type, "fcm");
const credentials = sids(await chat.credentials.list({ limit: 1000 }));
assert.ok([fcm, apn, gcm].every(({ sid }) => credentials.includes(sid)));
assert.equal(await chat.credentials(apn.sid).remove(), true);
assert.equal(await chat.credentials(gcm.sid).remove(), true);

const bindings = [];
for (const device of ["device 0", "device 1"]) {
  // The SDKs' part: Twilio has no operation that registers a device.
  const answer = await fetch(`${url}/v2/Services/${made.sid}/Users/alice/Bindings`, {
    method: "POST",
    headers: { Authorization: `Basic ${Buffer.from(`${accountSid}:${authToken}`).toString("base64")}` },
    body: new URLSearchParams({ BindingType: "fcm", Endpoint: device, Address: device, CredentialSid: fcm.sid }),
  });
  assert.equal(answer.status, 201, await answer.clone().text());
  bindings.push((await answer.json()).sid);
}
assert.equal((await service.bindings(bindings[0]).fetch()).identity, "alice");
assert.deepEqual(sids(await service.bindings.list({ bindingType: ["fcm"], identity: ["alice"] })), bindings);
const own = service.users(alice.sid).userBindings;
assert.equal((await own(bindings[0]).fetch()).userSid, alice.sid);
assert.deepEqual(sids(await own.list({ bindingType: ["fcm"] })), bindings);
assert.equal(await own(bindings[0]).remove(), true);
assert.equal(await service.bindings(bindings[1]).remove(), true);

// --- user channels

const channels = service.users(BOB).userChannels;
const joined = await channels(NAME).fetch();
assert.deepEqual([joined.status, joined.channelSid, joined.memberSid], ["joined", imported.sid, member.sid]);
const muted = await channels(imported.sid).update({
  notificationLevel: "muted",
  lastConsumedMessageIndex: 1,
  lastConsumptionTimestamp: LONG_AGO,
});
assert.deepEqual([muted.notificationLevel, muted.unreadMessagesCount], ["muted", 0]);
assert.deepEqual((await channels.list()).map(({ channelSid }) => channelSid), [imported.sid]);
assert.deepEqual((await service.users("erin @ home").userChannels.list()).map(({ status }) => status), ["invited"]);
assert.equal(await channels(NAME).remove({ xTwilioWebhookEnabled: "true" }), true);

// --- the end

const spare = await service.roles.create({ friendlyName: "spare", type: "channel", permission: ["sendMessage"] });
assert.equal(await service.roles(spare.sid).remove(), true);
assert.equal(await service.users(BOB).remove(), true);
assert.equal(await chat.credentials(fcm.sid).remove(), true);
assert.equal(await service.remove(), true);
