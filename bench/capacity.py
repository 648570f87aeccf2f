#!/usr/bin/env python3
"""How many machines a million, ten million and a hundred million connected users need, from what was measured on one.

    capacity.py [--users N …] [--gateway-cores C] [--sends-per-hour S] …

Every cost is a figure of bench/README.md (Postgres + RabbitMQ), every habit an option. The answer is arithmetic, not a
measurement: it tells what saturates first and in which order things have to change.
"""

import argparse
import math

# CPU in microseconds, as measured: see the tables in README.md.
COST = {
    "gateway, for a connect": 180,
    "database, for a connect": 124,
    "gateway, for a send with its deliveries on the spot": 144,
    "database, for a send": 75,
    "broker, for a send": 16,
    "gateway, for a delivery that came over the bus": 9.1,
    "gateway, for a socket that is idle, each second": 4.6,
}
# Bytes.
SOCKET = 6.6 * 1024
# What the kernel keeps for an idle TCP connection beside that; not measured here.
KERNEL = 4 * 1024
# A message's row with its indexes and its place in the write-ahead log: about so much is written for one.
WRITTEN = 2_500
# One message that the broker carries to one gateway: routing, copying, the socket. An estimate from `broker, for a send`.
CARRY = 15
# A gateway looks at a batch that is for none of its clients, and drops it by its topics. An estimate.
DROP = 3

BUCKETS = 256


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--users", type=int, nargs="+", default=[1_000_000, 10_000_000, 100_000_000])
    parser.add_argument("--sends-per-hour", type=float, default=20, help="messages that a connected user sends")
    parser.add_argument("--online-members", type=float, default=4, help="others who are connected in a message's channel")
    parser.add_argument("--connects-per-hour", type=float, default=2, help="connections that a connected user opens")
    parser.add_argument("--gateway-cores", type=int, default=8)
    parser.add_argument("--gateway-memory", type=float, default=16, help="GiB")
    parser.add_argument("--database-cores", type=int, default=64)
    parser.add_argument("--broker-cores", type=int, default=16)
    parser.add_argument("--busy", type=float, default=0.5, help="how much of a machine's CPU may be used at the daily peak")
    return parser.parse_args()


def model(users, habits):
    sends = users * habits.sends_per_hour / 3600
    connects = users * habits.connects_per_hour / 3600
    deliveries = sends * habits.online_members
    micro = 1e-6

    gateway = users * COST["gateway, for a socket that is idle, each second"] * micro
    gateway += connects * COST["gateway, for a connect"] * micro
    gateway += sends * COST["gateway, for a send with its deliveries on the spot"] * micro
    gateway += deliveries * COST["gateway, for a delivery that came over the bus"] * micro
    memory = users * (SOCKET + KERNEL) / 2**30
    gateways = max(gateway / habits.busy / habits.gateway_cores, memory / habits.gateway_memory, 1)
    # A gateway with thousands of rooms listens to every bucket, so each message reaches every gateway.
    for _ in range(50):
        every = sends * math.ceil(gateways) * DROP * micro
        gateways = max((gateway + every) / habits.busy / habits.gateway_cores, memory / habits.gateway_memory, 1)
        if gateways > 1e6:
            break
    database = (sends * COST["database, for a send"] + connects * COST["database, for a connect"]) * micro
    broker = sends * COST["broker, for a send"] * micro
    carried = sends * math.ceil(gateways) * CARRY * micro
    return {
        "sends a second": sends,
        "deliveries a second": deliveries,
        "connects a second": connects,
        "memory of all sockets, GiB": memory,
        "gateways": gateways,
        "database cores": database / habits.busy,
        "database machines": database / habits.busy / habits.database_cores,
        "written by the database, MB/s": sends * WRITTEN / 1e6,
        "broker cores": (broker + carried) / habits.busy,
        "… of them to carry each message to every gateway": carried / habits.busy,
        "broker machines": (broker + carried) / habits.busy / habits.broker_cores,
    }


def cells(users, habits):
    """The largest cell (one database machine, one broker machine) and how many of them."""
    size = users
    while size > 10_000:
        need = model(size, habits)
        if need["database machines"] <= 1 and need["broker machines"] <= 1:
            break
        size //= 2
    return size, math.ceil(users / size), model(size, habits)


def show(value):
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def main():
    habits = parse()
    models = [model(users, habits) for users in habits.users]
    print("| connected users | " + " | ".join(f"{users:,}" for users in habits.users) + " |")
    print("|---|" + "--:|" * len(models))
    for name in models[0]:
        print(f"| {name} | " + " | ".join(show(one[name]) for one in models) + " |")
    row = []
    for users in habits.users:
        size, count, need = cells(users, habits)
        row.append(f"{count} x {size:,} users ({show(need['gateways'])} gateways each)")
    print("| in cells of one database and one broker | " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
