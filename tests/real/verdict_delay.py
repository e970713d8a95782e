#!/usr/bin/env python3
"""How long treatment is assigned after the observation that condemns the candidate.

Good observations of both arms come for some seconds; then one request brings bad ones of the treatment,
and nothing comes after it, so that its acknowledgement is the moment of the crossing. From then on
treatment may be assigned for one interval of the analysis and 100 ms more.
"""

import random
import sys
import threading
import time

import scene
import server

TRIALS = 6
EVERY_SECONDS = (1, 2)
GRACE_SECONDS = 0.1
# Users of each arm in the good observations of a second, and in the bad request.
GOOD_USERS = 300
BAD_USERS = 1_500
GOOD_SECONDS = 4


class Watcher(threading.Thread):
    """Asks for one treated user all the time; remembers when treatment was last answered."""

    def __init__(self, running, policy, user):
        super().__init__(daemon=True)
        self.client = server.Client(running)
        self.path = f"/v1/assignments/{policy}?user={user}"
        self.last = None
        self.first_control = None

    def run(self):
        while self.first_control is None:
            try:
                arm = self.client.get(self.path)["arm"]
            except server.Lost:
                return
            now = time.monotonic()
            if arm == "treatment":
                self.last = now
            elif self.last is not None:
                self.first_control = now


def send(client, policy, treatment_mean, users, rng):
    """One request with so many observations of each arm: they are compared within their second."""
    means = {"control": 0.8, "treatment": treatment_mean}
    lines = [
        {
            "policy": policy,
            "user": f"user-{rng.randrange(10**6)}",
            "arm": arm,
            "metrics": {"helpfulness": min(1.0, max(0.0, rng.gauss(mean, 0.1)))},
        }
        for arm, mean in means.items()
        for _ in range(users)
    ]
    receipt = client.post("/v1/observations", lines)
    if receipt["accepted"] != len(lines):
        raise server.Refused(f"observations: {receipt}")


def treated_user(client, policy):
    for number in range(10_000):
        if client.get(f"/v1/assignments/{policy}", user=f"watched-{number}")["arm"] == "treatment":
            return f"watched-{number}"
    raise server.Refused("nobody is in treatment")


def trial(running, client, policy, every, rng, checks):
    candidate = scene.publish(client, policy, f"Answer {{{{question}}}}. {rng.random()}", ["canary"])
    rollout = scene.begin(client, policy, candidate)
    watcher = Watcher(running, policy, treated_user(client, policy))
    watcher.start()
    for _ in range(GOOD_SECONDS):
        send(client, policy, 0.8, GOOD_USERS, rng)
        time.sleep(1)
    # The crossing falls at any point of an interval.
    time.sleep(rng.random() * every)
    before = watcher.first_control
    send(client, policy, 0.3, BAD_USERS, rng)
    crossed = time.monotonic()
    watcher.join(timeout=every + 10)
    if not checks.that(before is None, f"{rollout} was taken back before its candidate was bad"):
        return
    if not checks.that(watcher.first_control is not None, f"{rollout} was not taken back"):
        return
    delay = watcher.last - crossed
    print(f"{rollout}: every {every} s, treatment was last assigned {delay * 1000:.0f} ms after the crossing", flush=True)
    checks.that(delay <= every + GRACE_SECONDS, f"{rollout}: {delay:.3f} s is more than {every} s and 100 ms")
    phase = server.wait_until("the end", 20, lambda: over(client, rollout))
    checks.that(phase["code"] == "rolled_back", f"{rollout} ended as {phase}")
    checks.that(phase["cause"]["code"] == "verdict_failed", f"{rollout} was taken back for {phase['cause']}")


def over(client, rollout):
    phase = client.get(f"/v1/rollouts/{rollout}")["phase"]
    return phase if phase["code"] in ("rolled_back", "promoted", "superseded") else None


def main():
    options = server.arguments(__doc__.splitlines()[0]).parse_args()
    rng = random.Random(options.seed)
    checks = server.Checks()
    names = {every: f"delay-{every}s" for every in EVERY_SECONDS}
    policies = {name: scene.policy(name, every=f"{every}s") for every, name in names.items()}
    with server.Server(options.serin, policies, keep=options.keep) as running:
        client = server.Client(running)
        for name in policies:
            scene.publish(client, name, "Answer {{question}}.", ["production"])
        for number in range(TRIALS):
            every = EVERY_SECONDS[number % len(EVERY_SECONDS)]
            trial(running, client, names[every], every, rng, checks)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
