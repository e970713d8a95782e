"""What the scripts put on the server: a prompt with versions, a policy, a rollout."""

import urllib.parse

import server

# One metric, and steps that nothing but a person leaves.
POLICY = """\
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {{name: {name}}}
spec:
  prompt: {name}
  steps:
    - {{exposure: 5%, bake: {bake}, samples: 100}}
    - {{exposure: 25%, bake: {bake}}}
    - {{exposure: 50%, bake: {bake}}}
    - {{exposure: 100%, bake: {bake}}}
  analysis: {{alpha: 5%, every: {every}}}
  metrics:
    - {{name: helpfulness, kind: score, margin: 0.05}}
"""


def policy(name, bake="24h", every="1s", scheme="serin"):
    text = POLICY.format(name=name, bake=bake, every=every)
    return text.replace("  steps:", f"  assignment: {{hash: {scheme}}}\n  steps:")


def segment(text):
    return urllib.parse.quote(text, safe="")


def publish(client, prompt, text, labels=()):
    """The number of a new version with this text, which these labels point at."""
    draft = {"name": prompt, "type": "text", "prompt": text, "reason": "a real run", "labels": list(labels)}
    return client.post("/v1/prompts", draft)["version"]


def begin(client, name, candidate):
    """The rollout that begins by itself once the treatment label points at `candidate`."""

    def ramping():
        rollouts = client.get("/v1/rollouts", policy=name, limit=1)["rollouts"]
        last = rollouts[0] if rollouts else None
        is_this = last is not None and last["candidate"] == candidate and last["phase"]["code"] == "ramping"
        return last["id"] if is_this else None

    return server.wait_until(f"the rollout of {name} {candidate}", 20, ramping)


def command(client, rollout, verb):
    return client.post(f"/v1/rollouts/{rollout}/{verb}", {"reason": "a real run"})


def evidence(client, rollout):
    """The evidence of the one metric; none before the first closed tick."""
    assessment = client.get(f"/v1/rollouts/{rollout}/evidence")["assessment"]
    return assessment and assessment["metrics"][0]


def pages(client, path, items, cursor):
    """All items of a list that comes in pages."""
    found, after = [], None
    while True:
        page = client.get(path, **({cursor: after} if after is not None else {}))
        found += page[items]
        after = page["next"]
        if after is None:
            return found
