#!/usr/bin/env python3
"""People at the console, in a headless Chromium, while the population goes on.

Overview, rollout, pause with a reason, resume, roll back: with and without JavaScript, no error in the
browser's console, no accessibility violation of level A or AA (axe-core), no request that leaves the
server. Every page is pictured in light, in dark and on a phone, in target/ci/screenshots.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import threading

import sdk
import scene
import server

HERE = pathlib.Path(__file__).resolve().parent / "console"
PICTURES = pathlib.Path("target/ci/screenshots").resolve()
WALK_SECONDS_MAX = 600
USERS = 400
# What the candidate of each policy scores; the stable version scores 0.86.
CANDIDATES = {"scripted": 0.865, "plain": 0.86, "failing": 0.60}
STABLE = 0.86


class Population:
    """People who ask and are observed, round after round, until they are told to go."""

    def __init__(self, running):
        self.running = running
        self.gone = threading.Event()
        self.broken = None
        self.thread = threading.Thread(target=self.live)
        self.thread.start()

    def live(self):
        client, round_number = server.Client(self.running), 0
        try:
            while not self.gone.is_set():
                round_number += 1
                for policy, quality in CANDIDATES.items():
                    self.visit(client, policy, quality, round_number)
        except (server.Lost, server.Refused) as error:
            self.broken = error

    def visit(self, client, policy, quality, round_number):
        observations = []
        for number in range(USERS):
            user = f"{policy}-{round_number}-{number}"
            assigned = client.get(f"/v1/assignments/{policy}", user=user)
            centre = quality if assigned["arm"] == "treatment" else STABLE
            score = centre + ((number * 7) % 11 - 5) / 100
            observations.append({"policy": policy, "receipt": assigned["receipt"], "metrics": {"helpfulness": score}})
        client.post("/v1/observations", observations)

    def go(self):
        self.gone.set()
        self.thread.join()


def set_up(client):
    """The rollout of each policy, by policy."""
    rollouts = {}
    for policy in CANDIDATES:
        scene.publish(client, policy, "Answer {{question}}.", ["production"])
        candidate = scene.publish(client, policy, "Answer {{question}} in <b>one</b> sentence.", ["canary"])
        rollouts[policy] = scene.begin(client, policy, candidate)
        scene.command(client, rollouts[policy], "step")
    return rollouts


def is_taken_back(client, rollout):
    return client.get(f"/v1/rollouts/{rollout}")["phase"]["code"] == "rolled_back"


def main():
    options = server.arguments(__doc__.splitlines()[0]).parse_args()
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        print("skipped: there is no chromium")
        return sdk.SKIPPED
    checks = server.Checks()
    policies = {name: scene.policy(name) for name in CANDIDATES}
    with server.Server(options.serin, policies, sdk.SECRET, options.keep) as running:
        try:
            command = sdk.node(HERE, "walk.mjs")
        except sdk.Unavailable as unavailable:
            print(f"skipped: {unavailable}")
            return sdk.SKIPPED
        client = server.Client(running)
        rollouts = set_up(client)
        population = Population(running)
        try:
            failed = rollouts["failing"]
            server.wait_until("the failing candidate's rollback", 120, lambda: is_taken_back(client, failed))
            ids = json.dumps([rollouts["scripted"], rollouts["plain"], failed])
            walked = subprocess.run(
                [*command, running.url, browser, str(PICTURES), ids],
                stdout=subprocess.PIPE, text=True, timeout=WALK_SECONDS_MAX, check=False,
            )
        finally:
            population.go()
        for line in walked.stdout.splitlines():
            look = json.loads(line)
            checks.that(look["ok"], look["what"])
        checks.that(walked.returncode == 0, f"the walk ended with exit code {walked.returncode}")
        checks.that(population.broken is None, f"the population: {population.broken!r}")
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
