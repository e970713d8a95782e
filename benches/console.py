#!/usr/bin/env python3
"""What the console costs: the overview of many policies, and open pages while nothing changes.

    cargo build --release
    python3 benches/console.py --serin target/release/serin

Every policy has a rollout that bakes. Prints each number beside its budget; exit code 1 when one is missed.
"""

import os
import pathlib
import selectors
import socket
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "real"))

import scene
import server

OVERVIEW_MS_MAX = 50
OVERVIEW_BYTES_MAX = 300_000
EVENTS_CORE_SHARE_MAX = 0.05
# The first answers warm up what later ones find.
ASKED = 100
WARM_UP = 5
SET_UP_SECONDS_MAX = 300
# Rollouts settle, and measured spans lie between.
QUIET_SECONDS = 5
MEASURED_SECONDS = 20


class Budgets:
    """Prints what was measured, and remembers what was missed."""

    def __init__(self):
        self.missed = 0

    def hold(self, what, measured, most, unit):
        self.missed += measured > most
        verdict = "ok" if measured <= most else "MISSED"
        print(f"{what:<58} {measured:>10.2f} {unit:<6} at most {most:g}  {verdict}", flush=True)


def cpu_seconds(process):
    """What a process has used of all cores, as the kernel counts it."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def set_up(client, names):
    for name in names:
        scene.publish(client, name, "Answer {{question}}.", ["production"])
        scene.publish(client, name, "Answer {{question}} shortly.", ["canary"])

    def all_ramp():
        overview = client.get("/v1/rollouts", limit=1)["rollouts"]
        return overview and ramping(client) >= len(names)

    server.wait_until("the start of every rollout", SET_UP_SECONDS_MAX, all_ramp)


def ramping(client):
    rollouts = scene.pages(client, "/v1/rollouts", "rollouts", "before")
    return sum(rollout["phase"]["code"] == "ramping" for rollout in rollouts)


def overview(client, budgets, policies):
    """Times the whole answer over a connection that is held."""
    times, size = [], 0
    for asked in range(WARM_UP + ASKED):
        began = time.perf_counter()
        page = client.expect("GET", "/")
        if asked >= WARM_UP:
            times.append(1000 * (time.perf_counter() - began))
        size = len(page.encode())
    budgets.hold(f"overview of {policies} policies, median", statistics.median(times), OVERVIEW_MS_MAX, "ms")
    budgets.hold(f"overview of {policies} policies, 95%", statistics.quantiles(times, n=20)[-1], OVERVIEW_MS_MAX, "ms")
    budgets.hold("its page", size / 1000, OVERVIEW_BYTES_MAX / 1000, "kB")


def follow(running, path, count):
    """Connections that follow the events of a page."""
    followers = []
    for _ in range(count):
        follower = socket.create_connection(("127.0.0.1", running.port))
        follower.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\n\r\n".encode())
        head = follower.recv(4096)
        if not head.startswith(b"HTTP/1.1 200"):
            raise server.Refused(f"{path}: {head[:200]!r}")
        follower.setblocking(False)
        followers.append(follower)
    return followers


def spent(running, followers, seconds):
    """The share of a core that the server takes meanwhile, and how many events came."""
    events, selector = 0, selectors.DefaultSelector()
    for follower in followers:
        selector.register(follower, selectors.EVENT_READ)
    began, before = time.monotonic(), cpu_seconds(running.process)
    while (left := began + seconds - time.monotonic()) > 0:
        if not followers:
            time.sleep(left)
            continue
        for ready, _ in selector.select(left):
            events += ready.fileobj.recv(65536).count(b"event: changed")
    return (cpu_seconds(running.process) - before) / (time.monotonic() - began), events


def open_pages(running, budgets, count, policy):
    """What open pages add to the work that goes on without them."""
    time.sleep(QUIET_SECONDS)
    alone, _ = spent(running, [], MEASURED_SECONDS)
    for name, path in [("the overview", "/events"), ("a rollout", f"/events?policy={policy}")]:
        followers = follow(running, path, count)
        spent(running, followers, QUIET_SECONDS)
        share, events = spent(running, followers, MEASURED_SECONDS)
        added = 100 * max(0.0, share - alone)
        budgets.hold(f"{count} open pages of {name}", added, 100 * EVENTS_CORE_SHARE_MAX, "% core")
        budgets.hold("events that they got", events, 0, "")
        for follower in followers:
            follower.close()
    print(f"{'without them':<58} {100 * alone:>10.2f} % core")


def main():
    parser = server.arguments(__doc__.splitlines()[0])
    parser.add_argument("--policies", type=int, default=1000, help="how many policies [default: %(default)s]")
    parser.add_argument("--pages", type=int, default=200, help="how many open pages [default: %(default)s]")
    options = parser.parse_args()
    names = [f"policy-{number:04}" for number in range(options.policies)]
    budgets = Budgets()
    policies = {name: scene.policy(name) for name in names}
    with server.Server(options.serin, policies, keep=options.keep) as running:
        client = server.Client(running)
        set_up(client, names)
        overview(client, budgets, options.policies)
        open_pages(running, budgets, options.pages, names[0])
    return 1 if budgets.missed else 0


if __name__ == "__main__":
    sys.exit(main())
