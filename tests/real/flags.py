#!/usr/bin/env python3
"""SDKs that evaluate by themselves, against the real server: GrowthBook and Unleash, which hear of changes
by streams, and flagd's core on the flag file; each in Python and in JavaScript.

1,000 users at 5, 25, 50 and 100% and after a rollback get exactly the label that `GET /v1/assignments`
says; nobody leaves treatment on a step up, and everybody does on a rollback. A transition reaches each of
them within seconds, without the SDK's own polling interval. Beyond ASCII, the SDKs that hash other bytes than
UTF-8 are known by name, and must differ where they are said to, and nowhere else.
"""

import functools
import pathlib
import sys
import time

import scene
import sdk
import server

HERE = pathlib.Path(__file__).resolve().parent / "flags"
USERS = [f"user-{number}" for number in range(1_000)]
# Keys beyond ASCII; asked for at 50%.
FOREIGN = [f"né {number} 用户" for number in range(100)]
# SDKs that hash no UTF-8, and so place some of FOREIGN elsewhere.
NOT_UTF8 = {"unleash javascript", "flagd javascript"}
# The intervals at which the SDKs would ask by themselves are 15 s and more.
HEARD_SECONDS_MAX = 8
SDKS = {
    "growthbook python": "growthbook-v2", "growthbook javascript": "growthbook-v2",
    "unleash python": "unleash", "unleash javascript": "unleash",
    "flagd python": "flagd-v3", "flagd javascript": "flagd-v2",
}


def policy_of(scheme):
    return f"answers-{scheme}"


def command(name):
    system, language = name.split()
    if language == "python":
        return [*sdk.python(HERE, "app.py"), system]
    return sdk.node(HERE, "app.mjs", system)


class Hearing:
    """Waits until an SDK says what is expected, and no longer than it may take."""

    def __init__(self, policy, checks):
        self.policy = policy
        self.checks = checks
        self.ladder = None

    def labels(self, application):
        began = time.monotonic()
        while True:
            found = application.step("labels", key=self.policy, users=USERS)
            if found == self.ladder.expected or time.monotonic() - began > HEARD_SECONDS_MAX:
                return found
            time.sleep(0.05)

    def foreign(self, application, expected):
        found = application.step("labels", key=self.policy, users=FOREIGN)
        wrong = sum(one != other for one, other in zip(expected, found))
        differs = application.name in NOT_UTF8
        self.checks.that(
            (wrong > 0) == differs, f"{application.name}: {wrong} of {len(FOREIGN)} users beyond ASCII differ"
        )
        print(f"{application.name}: {wrong} of {len(FOREIGN)} users beyond ASCII differ", flush=True)


def climb(scheme, commands, running, client, token, checks):
    policy = policy_of(scheme)
    running_apps = [
        sdk.Application(name, commands[name], running, token) for name in commands if SDKS[name] == scheme
    ]
    if not running_apps:
        return
    hearing = Hearing(policy, checks)
    ladder = sdk.Climb(client, policy, USERS, checks)
    hearing.ladder = ladder

    def labels(application):
        found = hearing.labels(application)
        if sum(label == "canary" for label in found) in range(400, 600):
            hearing.foreign(application, sdk.assigned(client, policy, FOREIGN))
        return found

    # Nothing is rolled out yet: the policy is published all the same, and everybody has production.
    ladder.rung("rolled back", running_apps, hearing.labels, lambda when: None)
    ladder.run(running_apps, labels)
    for application in running_apps:
        application.close()


def main():
    parser = server.arguments(__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="the SDKs whose names begin so, such as `unleash`")
    options = parser.parse_args()
    checks = server.Checks()
    schemes = sorted(set(SDKS.values()))
    policies = {policy_of(scheme): scene.policy(policy_of(scheme), scheme=scheme) for scheme in schemes}
    wanted = {name: functools.partial(command, name) for name in SDKS if name.startswith(options.only)}
    commands = sdk.installed(wanted, checks)
    if not commands:
        print("skipped: no SDK can be had")
        return sdk.SKIPPED
    with server.Server(options.serin, policies, sdk.SECRET, options.keep) as running:
        admin = server.Client(running).post("/v1/tokens", {"name": "admin", "scopes": ["admin"]})["token"]
        client = server.Client(running, admin)
        token = client.post("/v1/tokens", {"name": "sdk", "scopes": ["assign"]})["token"]
        for scheme in schemes:
            climb(scheme, commands, running, client, token, checks)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
