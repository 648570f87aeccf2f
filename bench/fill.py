#!/usr/bin/env python3
"""Fills a service with channels past the doors, as if they had been made long ago: a million of them one by one through
REST would take longer than what is to be measured.

    fill.py --url URL --channels N (--sqlite FILE | --postgres URL) [--service IS… --from M]

Makes a service through the door when none is named, inserts channels M to N-1 by SQL, and prints the service's SID.
`HUBBUB_ACCOUNT_SID` and `HUBBUB_AUTH_TOKEN` open the door. Channel i has the unique_name `room-i` and attributes with

    category  rare: 1 in 100,000 - middling: 1 in 143 - frequent: 1 in 2 - else one of ten others
    priority  1 to 5
    score     a different one for each channel, in no order
    tags      ["t0" to "t49", "even" or "odd"]: what is frequent is never odd
"""

import argparse
import base64
import json
import os
import sqlite3
import subprocess
import urllib.request
import uuid

PSQL = "/usr/lib/postgresql/15/bin/psql"
BATCH = 20_000
COLUMNS = (
    "service_id, id, unique_name, friendly_name, attributes, kind, created_by, members_count, messages_count, next_index,"
    " last_seq, last_event_at, listed_at, date_created, date_updated"
)
BORN = 1_700_000_000_000_000


def channel(service, i):
    # A UUID of version 7: they grow with i, as those of channels do that are made one after the other.
    random = i * 2_654_435_761 % 2**32
    identity = uuid.UUID(int=(0x0190_0000_0000 + i) << 80 | 7 << 76 | 2 << 62 | random)
    category = (
        "rare" if i % 100_000 == 7 else "middling" if i % 143 == 3 else "frequent" if i % 2 == 0 else f"other{i % 20}"
    )
    attributes = {
        "category": category,
        "priority": i * 31 % 5 + 1,
        "score": i * 7919 % 1_000_003,
        "tags": [f"t{i % 50}", "odd" if i % 2 else "even"],
    }
    born = BORN + i * 1_000_003
    return (
        service.bytes, identity.bytes, f"room-{i}", f"Room {i}", json.dumps(attributes), "private" if i % 10 == 0 else "public",
        "system", 0, 0, 0, 1, BORN, born, born, BORN + i * 104_729 % 1_000_000 * 1_300_007,
    )


def into_sqlite(file, rows):
    database = sqlite3.connect(file, timeout=60, isolation_level=None)
    marks = ",".join("?" * (COLUMNS.count(",") + 1))
    for batch in rows:
        database.execute("BEGIN IMMEDIATE")
        database.executemany(f"INSERT INTO channels ({COLUMNS}) VALUES ({marks})", batch)
        database.execute("COMMIT")
    database.close()


def into_postgres(url, rows):
    copy = subprocess.Popen(
        [PSQL, "-q", "-v", "ON_ERROR_STOP=1", url, "-c", f"COPY channels ({COLUMNS}) FROM STDIN"],
        stdin=subprocess.PIPE,
        text=True,
    )
    for batch in rows:
        for service, identity, *rest in batch:
            cells = [str(uuid.UUID(bytes=service)), str(uuid.UUID(bytes=identity)), *map(str, rest)]
            copy.stdin.write("\t".join(cell.replace("\\", "\\\\") for cell in cells) + "\n")
    copy.stdin.close()
    if copy.wait() != 0:
        raise SystemExit("psql failed")
    subprocess.run([PSQL, "-q", url, "-c", "VACUUM ANALYZE channels"], check=True)


def new_service(url):
    pair = f"{os.environ['HUBBUB_ACCOUNT_SID']}:{os.environ['HUBBUB_AUTH_TOKEN']}"
    request = urllib.request.Request(
        f"{url}/v2/Services",
        data=b"FriendlyName=bench",
        headers={"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["sid"]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--url", required=True)
    options.add_argument("--channels", type=int, required=True)
    options.add_argument("--from", dest="start", type=int, default=0)
    options.add_argument("--service")
    options.add_argument("--sqlite")
    options.add_argument("--postgres")
    given = options.parse_args()
    sid = given.service or new_service(given.url)
    service = uuid.UUID(sid[2:])
    rows = (
        [channel(service, i) for i in range(start, min(start + BATCH, given.channels))]
        for start in range(given.start, given.channels, BATCH)
    )
    if given.postgres:
        into_postgres(given.postgres, rows)
    else:
        into_sqlite(given.sqlite, rows)
    print(sid)


if __name__ == "__main__":
    main()
