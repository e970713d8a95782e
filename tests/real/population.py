#!/usr/bin/env python3
"""100,000 users and the exposure they were promised.

At 5% the treated share lies within four standard errors; the same users are treated when they are
asked for again and after a restart; all of them still are at 25%; none is after a rollback. The
server's secret is fixed, so that the same users are drawn in every run.
"""

import math
import socket
import sys
import threading
import time

import scene
import server

USERS = 100_000
THREADS = 4
# Requests on the way at once, on each connection.
PIPELINED = 50
STANDARD_ERRORS_MAX = 4
POLICY = "population"
SECRET = "5e" * 32


def ask_all(running):
    """The arm of every user, in order."""
    arms = [None] * USERS
    wrong = []

    def work(first):
        try:
            with socket.create_connection(("127.0.0.1", running.port), timeout=30) as connection:
                answers = connection.makefile("rb")
                numbers = range(first, USERS, THREADS)
                for begin in range(0, len(numbers), PIPELINED):
                    ask_some(connection, answers, numbers[begin : begin + PIPELINED], arms)
        except (OSError, ValueError) as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise server.Refused(f"assignments: {wrong[0]!r}\n{running.last_words()}")
    return arms


def ask_some(connection, answers, numbers, arms):
    heads = [
        f"GET /v1/assignments/{POLICY}?user=user-{number} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" for number in numbers
    ]
    connection.sendall("".join(heads).encode())
    for number in numbers:
        arms[number] = read_arm(answers)


def read_arm(answers):
    """The arm in the next answer's header `X-Serin-Arm`, which must agree with its body."""
    status = answers.readline()
    if not status.startswith(b"HTTP/1.1 200"):
        raise ValueError(f"{status!r} for an assignment")
    arm, length = None, 0
    while (line := answers.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        name = name.lower()
        if name == b"content-length":
            length = int(value)
        elif name == b"x-serin-arm":
            arm = value.strip().decode()
    body = answers.read(length)
    if arm is None or f'"arm":"{arm}"'.encode() not in body.replace(b" ", b""):
        raise ValueError(f"header says {arm}, body says {body!r}")
    return arm


def treated(arms):
    return {number for number, arm in enumerate(arms) if arm == "treatment"}


def share_holds(checks, users, share, when):
    error = math.sqrt(share * (1 - share) / USERS)
    away = (len(users) / USERS - share) / error
    checks.that(
        abs(away) <= STANDARD_ERRORS_MAX,
        f"{when}: {len(users)} of {USERS} users are treated, {away:+.2f} standard errors from {share:.0%}",
    )
    print(f"{when}: {len(users)} of {USERS} users treated ({away:+.2f} standard errors from {share:.0%})", flush=True)


def main():
    options = server.arguments(__doc__.splitlines()[0]).parse_args()
    checks = server.Checks()
    began = time.monotonic()
    with server.Server(options.serin, {POLICY: scene.policy(POLICY)}, SECRET, options.keep) as running:
        client = server.Client(running)
        scene.publish(client, POLICY, "Answer {{question}}.", ["production"])
        candidate = scene.publish(client, POLICY, "Answer {{question}} in one sentence.", ["canary"])
        rollout = scene.begin(client, POLICY, candidate)

        first = treated(ask_all(running))
        share_holds(checks, first, 0.05, "first pass")
        checks.that(treated(ask_all(running)) == first, "a second pass drew other users")
        code = running.stop()
        checks.that(code == 0, f"the server ended with exit code {code}\n{running.last_words()}")
        running.start()
        client = server.Client(running)
        checks.that(treated(ask_all(running)) == first, "after a restart other users are treated")

        scene.command(client, rollout, "step")
        second = treated(ask_all(running))
        share_holds(checks, second, 0.25, "after `step`")
        checks.that(first <= second, f"{len(first - second)} users lost the candidate when exposure grew")

        scene.command(client, rollout, "rollback")
        left = treated(ask_all(running))
        checks.that(not left, f"{len(left)} users are treated after the rollback")
    print(f"{5 * USERS} assignments in {time.monotonic() - began:.0f} s")
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
