#!/usr/bin/env python3
"""The real server is killed with SIGKILL again and again, under load.

Several threads send observations and ask again until they are acknowledged; two others run rollouts. The
server is killed at a random point, started again on the same data, and then: every acknowledged
observation is counted, none twice, whatever was sent again; an acknowledged command is not
forgotten; every label stands where the journals say, and was moved once for each reason.
"""

import random
import sys
import time

import journal
import load
import scene
import server

ROUNDS = 20
LOAD_SECONDS = (0.3, 2.5)
SETTLE_SECONDS_MAX = 30
SENDERS = 6
COUNTED = "counted"
MOVED = "moved"

# Two metrics: one for observations with receipts, whose arm is fixed, and one for those without.
POLICY_COUNTED = scene.policy(COUNTED).replace(
    "margin: 0.05}", "margin: 0.05}\n    - {name: clarity, kind: score, margin: 0.05}"
)


def counts_hold(client, rollout, ledger):
    """What differs between the evidence and what was acknowledged; nothing when they agree."""
    assessment = client.get(f"/v1/rollouts/{rollout}/evidence")["assessment"]
    if assessment is None:
        return "there is no evidence"
    metrics = {metric["metric"]: metric for metric in assessment["metrics"]}
    for arm in ("control", "treatment"):
        found, expected = metrics["helpfulness"][arm], ledger.receipted[arm]
        if found["count"] != expected.count:
            return f"helpfulness of {arm}: {found['count']} counted, {expected.count} acknowledged"
        if expected.count and abs(found["mean"] * expected.count - expected.total) > 1e-6:
            return f"helpfulness of {arm}: they add up to {found['mean'] * expected.count}, not {expected.total}"
    clarity = metrics["clarity"]
    count = clarity["control"]["count"] + clarity["treatment"]["count"]
    if count != ledger.hashed.count:
        return f"clarity: {count} counted, {ledger.hashed.count} acknowledged"
    return None


def check_counts(checks, client, rollout, ledger, when):
    """Waits for the last tick to close, then compares; a number that is too high never comes right."""
    began = time.monotonic()
    while (difference := counts_hold(client, rollout, ledger)) and time.monotonic() - began < SETTLE_SECONDS_MAX:
        time.sleep(0.1)
    checks.that(difference is None, f"{when}: {difference}")


def check_commands(checks, client, operators, when):
    for rollout, generation in [item for operator in operators for item in operator.acknowledged.items()]:
        found = client.get(f"/v1/rollouts/{rollout}")["generation"]
        checks.that(found >= generation, f"{when}: {rollout} is at {found}, and was acknowledged at {generation}")


def check_journals(checks, client, when):
    """Label moves may still be on their way: asks until they have arrived."""
    for name in (COUNTED, MOVED):
        began = time.monotonic()
        while (wrong := journal.contradiction(client, name)) and time.monotonic() - began < SETTLE_SECONDS_MAX:
            time.sleep(0.1)
        checks.that(wrong is None, f"{when}: {name}: {wrong}")


def play(running, options, rng, checks):
    client = server.Client(running)
    for name in (COUNTED, MOVED):
        scene.publish(client, name, "Answer {{question}}.", ["production"])
    candidate = scene.publish(client, COUNTED, "Answer {{question}} briefly.", ["canary"])
    rollout = scene.begin(client, COUNTED, candidate)

    ledger = load.Ledger()
    gate = load.Gate()
    senders = [
        load.Sender(running, gate, ledger, COUNTED, random.Random(rng.random()), number) for number in range(SENDERS)
    ]
    operators = [
        load.Stepper(running, gate, rollout, random.Random(rng.random())),
        load.Publisher(running, gate, MOVED, random.Random(rng.random())),
    ]
    for thread in senders + operators:
        thread.start()
    gate.open()
    for number in range(1, options.rounds + 1):
        when = f"round {number}"
        lasts = rng.uniform(*LOAD_SECONDS)
        time.sleep(lasts)
        running.kill()
        before = ledger.repeats
        began = time.monotonic()
        running.start()
        ready = time.monotonic() - began
        gate.close(senders + operators)
        client = server.Client(running)
        check_counts(checks, client, rollout, ledger, when)
        check_commands(checks, client, operators, when)
        check_journals(checks, client, when)
        total = sum(arm.count for arm in ledger.receipted.values()) + ledger.hashed.count
        print(
            f"{when}: killed after {lasts:.2f} s, ready in {ready * 1000:.0f} ms; {ledger.requests} requests"
            f" acknowledged, {ledger.repeats - before} sent again after the kill, {ledger.repeats} in all;"
            f" {total} observations counted once; {operators[1].rollouts} rollouts ended by command",
            flush=True,
        )
        if broken := [thread for thread in senders + operators if thread.error]:
            raise server.Refused(f"{broken[0].name}: {broken[0].error}\n{running.last_words()}")
        gate.open()
    gate.close(senders + operators)
    gate.end()
    checks.that(operators[1].rollouts >= options.rounds / 4, f"only {operators[1].rollouts} rollouts were moved")
    checks.that(ledger.repeats > 0, "nothing was sent again")
    go_on(checks, running, rollout)


def go_on(checks, running, rollout):
    """After all of it the rollout can be brought to its end, and the server ends well."""
    client = server.Client(running)
    if client.get(f"/v1/rollouts/{rollout}")["phase"]["code"] == "paused":
        scene.command(client, rollout, "resume")
    scene.command(client, rollout, "promote")

    def promoted():
        return client.get(f"/v1/rollouts/{rollout}")["phase"]["code"] in ("watching", "promoted")

    server.wait_until("the promotion", 20, promoted)
    check_journals(checks, client, "at the end")
    code = running.stop()
    checks.that(code == 0, f"the server ended with exit code {code}\n{running.last_words()}")


def main():
    parser = server.arguments(__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often to kill [default: %(default)s]")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    checks = server.Checks()
    print(f"seed {options.seed}", flush=True)
    policies = {COUNTED: POLICY_COUNTED, MOVED: scene.policy(MOVED)}
    with server.Server(options.serin, policies, keep=options.keep) as running:
        try:
            play(running, options, rng, checks)
        except (server.Refused, server.Lost) as broken:
            checks.that(False, str(broken))
            print(running.last_words())
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
