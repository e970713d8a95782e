#!/usr/bin/env python3
"""OpenFeature's own OFREP providers, Python, Node and web, against the real server.

1,000 users at 5, 25, 50 and 100% and after a rollback get exactly the label that `GET /v1/assignments`
says; nobody leaves treatment on a step up, and everybody does on a rollback. The web provider hears of
each transition through the stream of notices alone. What is refused comes back under the right code.
"""

import pathlib
import sys

import sdk
import server
import scene

HERE = pathlib.Path(__file__).resolve().parent / "ofrep"
POLICY = "answers"
USERS = [f"user-{number}" for number in range(980)] + [f"né {number} 用户" for number in range(20)]


def commands(only):
    kinds = {
        "python 0.3.0": lambda: sdk.python(HERE, "app.py"),
        "node 0.1.3": lambda: sdk.node(HERE, "server.mjs"),
        "web 0.4.3": lambda: sdk.node(HERE, "web.mjs"),
    }
    return {name: command for name, command in kinds.items() if name.startswith(only)}


def labels(application):
    return application.step("labels", key=POLICY, users=USERS)


def try_details(application, client, observer, checks):
    """What one evaluation tells, and what is refused."""

    def check(holds, what):
        checks.that(holds, f"{application.name}: {what}")

    assignment = client.get(f"/v1/assignments/{POLICY}", user=USERS[0])
    found = application.step("details", key=POLICY, user=USERS[0], attributes={"country": "CA"})
    check(
        (found["value"], found["variant"], found["reason"]) == (assignment["label"], assignment["arm"], "SPLIT"),
        f"details: {found}",
    )
    check(found["metadata"].get("receipt") == assignment["receipt"], f"receipt: {found}")
    found = application.step("details", key=f"{POLICY}.assignment", user=USERS[0], kind="object")
    check(found["value"] == assignment, f"object: {found}")
    for what, code, arguments in [
        ("no user", "TARGETING_KEY_MISSING", {"key": POLICY, "user": ""}),
        ("an unknown policy", "FLAG_NOT_FOUND", {"key": "nobody", "user": "ann"}),
        ("a key with slashes", "FLAG_NOT_FOUND", {"key": "team/nobody", "user": "ann"}),
        ("another type", "TYPE_MISMATCH", {"key": POLICY, "user": "ann", "kind": "boolean"}),
        ("a long user", "INVALID_CONTEXT", {"key": POLICY, "user": "x" * 257}),
        ("an unknown token", "GENERAL", {"key": POLICY, "user": "ann", "token": "srn_unknown"}),
        ("a token that may not", "GENERAL", {"key": POLICY, "user": "ann", "token": observer}),
    ]:
        found = application.step("details", **arguments)
        check(found["error"] == code, f"{what}: {found}")
        check(found["value"] in ("none", False), f"{what}: {found}")


def watch(page, client, checks, watched):
    """After each transition: the page's user, and what it waits for through the stream."""

    def moved(when):
        user, label = watched.get("user"), watched.get("label")
        now = client.get(f"/v1/assignments/{POLICY}", user=user)["label"] if user else None
        if user and now != label:
            seen = page.step("changed", key=POLICY, **{"from": label})
            checks.that(seen["label"] == now, f"{page.name}, {when}: the page still has {seen}, not {now}")
            checks.that(seen["changes"] > 0, f"{page.name}, {when}: no event told of the change")
            watched["seen"] = watched.get("seen", 0) + 1

    return moved


def choose(page, client, watched, after):
    """A user for the page to be who changes arms with the next transition."""
    found = sdk.assigned(client, POLICY, USERS)
    watched["user"] = next(user for user, label in zip(USERS, found) if label == ("canary" if after else "production"))
    watched["label"] = page.step("become", key=POLICY, user=watched["user"])


def main():
    parser = server.arguments(__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="the providers whose names begin so, such as `python`")
    options = parser.parse_args()
    checks = server.Checks()
    installed = sdk.installed(commands(options.only), checks)
    if not installed:
        print("skipped: no provider of OpenFeature can be had")
        return sdk.SKIPPED
    with server.Server(options.serin, {POLICY: scene.policy(POLICY)}, sdk.SECRET, options.keep) as running:
        admin = server.Client(running).post("/v1/tokens", {"name": "admin", "scopes": ["admin"]})["token"]
        client = server.Client(running, admin)
        token, observer = (
            client.post("/v1/tokens", {"name": scope, "scopes": [scope]})["token"] for scope in ("assign", "observe")
        )
        running_apps = [sdk.Application(name, command, running, token) for name, command in installed.items()]
        climb(client, running_apps, observer, checks)
        for application in running_apps:
            application.close()
    return checks.finish()


def climb(client, running_apps, observer, checks):
    pages = [application for application in running_apps if application.name.startswith("web")]
    ladder = sdk.Climb(client, POLICY, USERS, checks)
    watched = [{} for _ in pages]
    hears = [watch(page, client, checks, state) for page, state in zip(pages, watched)]

    def moved(when):
        for hear in hears:
            hear(when)

    def label_of(application):
        found = labels(application)
        if application in pages:
            # Everybody is treated at 100%, so the page becomes somebody whom the next transition moves.
            everybody = all(label == "canary" for label in found)
            if any(label == "canary" for label in found):
                choose(application, client, watched[pages.index(application)], everybody)
        elif ladder.before.get(application.name) is None:
            try_details(application, client, observer, checks)
        return found

    ladder.run(running_apps, label_of, moved)
    for page, state in zip(pages, watched):
        checks.that(state.get("seen", 0) >= 2, f"{page.name}: {state.get('seen', 0)} transitions came by the stream")


if __name__ == "__main__":
    sys.exit(main())
