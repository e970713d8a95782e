#!/usr/bin/env python3
"""People at the console, in a headless Chromium, while the population goes on.

Overview, rollout, pause with a reason, resume, roll back: with and without JavaScript, no error in the
browser's console, no accessibility violation of level A or AA (axe-core), no request that leaves the
server. Every page is pictured in light, in dark and on a phone, in target/ci/screenshots.
"""

import json
import pathlib
import random
import shutil
import subprocess
import sys
import threading

import sdk
import scene
import server

HERE = pathlib.Path(__file__).resolve().parent / "console"
PICTURES = pathlib.Path("target/ci/screenshots").resolve()
WALK_SECONDS_MAX = 900
ROLLBACK_SECONDS_MAX = 180
# Users of each policy in one round, and the time between rounds.
USERS = 40
ROUNDS_APART_SECONDS = 0.2

POLICY = """\
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {{name: {name}, owner: {owner}}}
spec:
  prompt: {name}
  labels: {{control: production, treatment: canary}}
  steps:
    - {{exposure: 5%, bake: 24h, samples: 500}}
    - {{exposure: 25%, bake: 12h}}
    - {{exposure: 50%, bake: 12h, approval: required}}
    - {{exposure: 100%, bake: 24h}}
  analysis: {{alpha: 5%, every: 1s}}
  metrics:
    - {{name: faithfulness, kind: score, margin: 0.02, floor: 0.70}}
    - {{name: latency, kind: latency, quantiles: [50%, 95%], margin: 10%, ceiling: 4s}}
    - {{name: errors, kind: rate, better: lower, margin: 1pp}}
    - {{name: cost, kind: amount, unit: USD, better: lower, margin: 10%, role: watched}}
"""
GATE = "  gates: {approval: {before: start}}\n"
# Who owns what, and how much better in faithfulness the candidate is.
SCRIPTED, PLAIN, FAILING = "order-status-answer", "refund-policy-summary", "delivery-delay-apology"
WAITING, RESTING = "invoice-questions", "greeting-tone"
OWNERS = {
    SCRIPTED: "support-platform", PLAIN: "payments", FAILING: "logistics", WAITING: "payments", RESTING: "growth",
}
EFFECTS = {SCRIPTED: 0.005, PLAIN: 0.0, FAILING: -0.05}
STABLE = "You answer customers about {subject}.\n\nBe polite, and cite the record that you used.\n\nQuestion: {{{{question}}}}"
CANDIDATE = (
    "You answer customers about {subject}.\n\nBe polite, answer in <b>one</b> sentence, and cite the record that you "
    "used.\n\nRecord: {{{{record}}}}\nQuestion: {{{{question}}}}"
)


class Population:
    """People who ask and are observed, round after round, until they are told to go."""

    def __init__(self, running, seed):
        self.running = running
        self.random = random.Random(seed)
        self.gone = threading.Event()
        self.broken = None
        self.thread = threading.Thread(target=self.live)
        self.thread.start()

    def live(self):
        client, round_number = server.Client(self.running), 0
        try:
            while not self.gone.wait(ROUNDS_APART_SECONDS):
                round_number += 1
                for policy, effect in EFFECTS.items():
                    self.visit(client, policy, effect, round_number)
        except (server.Lost, server.Refused) as error:
            self.broken = error

    def visit(self, client, policy, effect, round_number):
        observations = []
        for number in range(USERS):
            user = f"{policy}-{round_number}-{number}"
            assigned = client.get(f"/v1/assignments/{policy}", user=user)
            # After a rollback there is no rollout to be observed for.
            if assigned["receipt"] is not None:
                observed = self.observed(effect if assigned["arm"] == "treatment" else 0.0)
                observations.append({"policy": policy, "receipt": assigned["receipt"], "metrics": observed})
        if observations:
            client.post("/v1/observations", observations)

    def observed(self, effect):
        return {
            "faithfulness": min(1.0, max(0.0, self.random.gauss(0.86 + effect, 0.07))),
            "latency": self.random.lognormvariate(-0.3, 0.4),
            "errors": int(self.random.random() < 0.01),
            "cost": self.random.lognormvariate(-5.0, 0.3),
        }

    def go(self):
        self.gone.set()
        self.thread.join()


def policy(name):
    return POLICY.format(name=name, owner=OWNERS[name]) + (GATE if name == WAITING else "")


def version(client, prompt, text, label, reason):
    draft = {
        "name": prompt, "type": "chat", "reason": reason, "labels": [label], "owner": OWNERS[prompt],
        "prompt": [
            {"role": "system", "content": text.format(subject=prompt.replace("-", " "))},
            {"role": "user", "content": "{{question}}"},
        ],
        "config": {"model": "small-model", "temperature": 0.2},
    }
    return client.post("/v1/prompts", draft)["version"]


def set_up(client):
    """The rollout of each policy that has users, by policy."""
    for name in OWNERS:
        version(client, name, STABLE, "production", "what users have today")
    rollouts = {}
    for name in (SCRIPTED, PLAIN, FAILING, WAITING):
        candidate = version(client, name, CANDIDATE, "canary", "shorter answers, with the record")
        if name in EFFECTS:
            rollouts[name] = scene.begin(client, name, candidate)
    for name in (SCRIPTED, PLAIN):
        scene.command(client, rollouts[name], "step")
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
    policies = {name: policy(name) for name in OWNERS}
    with server.Server(options.serin, policies, sdk.SECRET, options.keep) as running:
        try:
            command = sdk.node(HERE, "walk.mjs")
        except sdk.Unavailable as unavailable:
            print(f"skipped: {unavailable}")
            return sdk.SKIPPED
        client = server.Client(running)
        rollouts = set_up(client)
        population = Population(running, options.seed)
        try:
            failing = rollouts[FAILING]
            server.wait_until(
                "the failing candidate's rollback", ROLLBACK_SECONDS_MAX, lambda: is_taken_back(client, failing)
            )
            names = {"scripted": SCRIPTED, "plain": PLAIN, "failing": FAILING}
            ids = json.dumps({role: {"policy": name, "id": rollouts[name]} for role, name in names.items()})
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
        checks.that(population.broken is None, f"the population: {str(population.broken)[:500]}")
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
