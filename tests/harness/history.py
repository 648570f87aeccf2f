"""Much that happens in a channel, of every kind that its members hear of."""

import itertools

# The kinds that `unfolds` makes, each of them more than once when there are a few dozen events.
KINDS = {
    "messageAdded",
    "messageUpdated",
    "messageRemoved",
    "memberJoined",
    "memberUpdated",
    "memberLeft",
    "channelUpdated",
}


async def unfolds(chat, speaker, channel_sid, events):
    """So many events of all kinds, made by somebody who is in the channel and by the backend."""
    members = chat.service.channels(channel_sid).members
    numbers = itertools.count(1)

    async def round_of_events():
        number = next(numbers)
        guest = f"guest {number}"
        kept = await speaker.sends(channel_sid, f"kept {number}")
        yield
        await speaker.asks("updateMessage", channel=channel_sid, message=kept["sid"], body=f"edited {number}")
        yield
        gone = await speaker.sends(channel_sid, f"gone {number}")
        yield
        await speaker.asks("removeMessage", channel=channel_sid, message=gone["sid"])
        yield
        members.create(identity=guest)
        yield
        members(guest).update(attributes=f'{{"number":{number}}}')
        yield
        members(guest).delete()
        yield
        chat.service.channels(channel_sid).update(friendly_name=f"Renamed {number}")
        yield

    made = 0
    while made < events:
        async for _ in round_of_events():
            made += 1
            if made == events:
                break


def told(events):
    """What makes two tellings of the same history comparable."""
    return [(event["seq"], event["type"], event["id"]) for event in events]
