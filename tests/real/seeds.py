#!/usr/bin/env python3
"""Two applications written for Langfuse run against the real server with nothing changed but the base URL.

One fetches its prompt by a label that it draws for each user, and falls back to what it keeps when the
registry does not answer. The other keeps prompts in a real Redis for five minutes: there a rollback must
reach it at once, whoever moves the label and whatever the Redis is doing.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import scene
import sdk
import server

HERE = pathlib.Path(__file__).resolve().parent / "seeds"
PASSWORD = "of-the-tests"
# A rollback, or another move, is in Redis after so long; the key would live for 300.
CLEARED_SECONDS_MAX = 5
# After it answers again: one wait between two attempts.
BACK_SECONDS_MAX = 30
FRESH_SECONDS, STALE_SECONDS = 1, 4
ANSWERING, GREETING = "order-status-answer", "greeting"
USERS = 40

ANSWERING_POLICY = f"""\
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {{name: {ANSWERING}}}
spec:
  prompt: {ANSWERING}
  labels: {{control: prod-a, treatment: prod-b}}
  steps:
    - {{exposure: 50%, bake: 24h}}
    - {{exposure: 100%, bake: 24h}}
  analysis: {{every: 1s}}
  metrics:
    - {{name: helpfulness, kind: score, margin: 0.05}}
    - {{name: errors, kind: rate, better: lower, margin: 1pp}}
"""
SETTINGS = """\
redis:
  - {{name: answers, url: 'redis://127.0.0.1:{port}/0', password: {{file: redis-password}}, timeout: 500ms, sweep: 5s}}
  - {{name: rewritten, url: 'redis://127.0.0.1:{port}/1', password: {{file: redis-password}}, timeout: 500ms, then: rewrite, sweep: 5s}}
"""


class Redis:
    """A `redis-server` at a free port that keeps nothing on disk."""

    def __init__(self, folder):
        self.port = server.free_port()
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--requirepass", PASSWORD],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=(folder / "redis.log").open("ab"), stderr=subprocess.STDOUT,
        )
        server.wait_until("redis-server", 20, lambda: self.ask("PING") == "PONG")

    def ask(self, *words, database=0):
        """The answer to a command, as `redis-cli` prints it."""
        done = subprocess.run(
            ["redis-cli", "-p", str(self.port), "-n", str(database), "--raw", *words],
            env={**os.environ, "REDISCLI_AUTH": PASSWORD}, capture_output=True, text=True, check=False, timeout=20,
        )
        return done.stdout.strip()

    def stop(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        self.process.wait(timeout=20)


class Wire:
    """What is between an application and the server: it can be cut, and then says nothing."""

    def __init__(self, port):
        self.target = port
        self.is_cut = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            far = socket.create_connection(("127.0.0.1", self.target))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=(source, sink), daemon=True).start()

    def carry(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not self.is_cut:
                    sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


class Seeds:
    def __init__(self, running, admin, app, redis, wire, checks):
        self.running = running
        self.admin = admin
        self.app = app
        self.redis = redis
        self.wire = wire
        self.that = checks.that

    def refused(self, step, **arguments):
        """The exception of a step that must not succeed."""
        try:
            return f"it gave {self.app.step(step, **arguments)}"
        except server.Refused as refused:
            return str(refused)

    def told(self, text):
        """Whether the server's telemetry has a line with a number above zero that begins so."""
        lines = [line for line in self.admin.get("/metrics").splitlines() if line.startswith(text)]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def publish_chat(self, text, labels):
        messages = [{"role": "system", "content": text}, {"role": "user", "content": "{{question}}"}]
        draft = {"name": ANSWERING, "type": "chat", "prompt": messages, "reason": "a real run", "labels": labels}
        return self.admin.post("/v1/prompts", draft)["version"]

    def ask(self, user, **more):
        return self.app.step("ask", name=ANSWERING, user=user, **{"variables": {"question": "where?"}, **more})

    def try_answering(self):
        """Labels that the application draws, traces, scores."""
        self.publish_chat("Answer.", ["prod-a", "production"])
        candidate = self.publish_chat("Answer shortly.", ["prod-b"])
        rollout = scene.begin(self.admin, ANSWERING, candidate)
        users = [f"usr_pseudo_{number}_demo" for number in range(USERS)]
        answers = {user: self.ask(user) for user in users}
        again = {user: self.ask(user)["label"] for user in users[:10]}
        self.that(all(answers[user]["label"] == label for user, label in again.items()), "a user came to another label")
        versions = {(answer["label"], answer["version"]) for answer in answers.values()}
        self.that(versions == {("prod-a", 1), ("prod-b", candidate)}, f"labels and versions: {versions}")
        for answer in answers.values():
            self.app.step("score", trace=answer["trace"], name="helpfulness", value=0.8)

        def counted():
            assessment = self.admin.get(f"/v1/rollouts/{rollout}/evidence")["assessment"]
            metrics = {metric["metric"]: metric for metric in (assessment or {}).get("metrics", [])}
            arms = [metrics.get(name, {}).get(arm, {}).get("count", 0) for name in ("helpfulness", "errors") for arm in ("control", "treatment")]
            return arms if sum(arms[:2]) >= USERS and sum(arms[2:]) >= USERS else None

        arms = server.wait_until("the observations of every answer", 30, counted)
        treated = sum(answer["label"] == "prod-b" for answer in answers.values())
        self.that(arms[1] == treated, f"{arms[1]} scores of {treated} treated users, each once")
        return users[0]

    def try_falling_back(self, user):
        """What the registry does not say in time, or does not have, or has otherwise."""
        time.sleep(FRESH_SECONDS)
        self.ask(user)
        self.wire.is_cut = True
        time.sleep(FRESH_SECONDS)
        began = time.monotonic()
        kept = self.ask(user)
        self.that(kept["version"] == 1 or kept["label"] == "prod-b", f"from the cache: {kept}")
        self.that(time.monotonic() - began < STALE_SECONDS, "a fetch that gets no answer takes too long")
        excluded = lambda: self.told('serin_observations_excluded{') or self.told('serin_spans_total{outcome="fallback"')
        server.wait_until("the fallback in telemetry", 20, excluded)
        time.sleep(STALE_SECONDS)
        said = self.refused("ask", name=ANSWERING, user=user, variables={"question": "where?"})
        self.that("PromptUnavailable" in said, f"after the bounded time: {said}")
        self.wire.is_cut = False
        self.that(self.ask(user)["version"] == kept["version"], "the registry is back, and nobody asks it")
        calls = self.app.step("count")
        said = self.refused("ask", name=ANSWERING, user=user, variables={"question": "?"}, label="prod-c")
        self.that("PromptMissing" in said, f"a label that is missing: {said}")
        self.that(self.told('serin_prompt_refusals_total{'), "the missing label is not counted")
        for variables in ({}, {"question": "?", "name": "Ann"}):
            said = self.refused("ask", name=ANSWERING, user=user, variables=variables)
            self.that("VariableMismatch" in said, f"variables {variables}: {said}")
        self.that(self.app.step("count") == calls, "the model was called in spite of it")

    def version_of(self, label):
        return self.app.step("get", name=GREETING, label=label)["version"]

    def reaches(self, label, version, seconds, what):
        """Whether the application with its Redis gets this version within so many seconds."""
        try:
            server.wait_until(what, seconds, lambda: self.version_of(label) == version)
        except server.Refused as refused:
            self.that(False, str(refused))
        else:
            self.that(True, what)

    def candidate(self, text):
        """A rollout of a new version, which the application has in its Redis."""
        number = scene.publish(self.admin, GREETING, text, ["canary"])
        rollout = scene.begin(self.admin, GREETING, number)
        self.reaches("canary", number, CLEARED_SECONDS_MAX, f"version {number} in the application")
        self.that(self.app.step("get", name=GREETING, label="canary")["source"] == "redis", "Redis is not used")
        return rollout

    def try_redis(self):
        """A rollback is there at once, although the key lives on."""
        self.that(self.app.step("create", name=GREETING, text="Hi {{name}}", labels=[], message="first") == 1, "create")
        self.admin.put(f"/v1/prompts/{GREETING}/labels/production", {"version": 1, "reason": "a real run"})
        self.admin.put(f"/v1/prompts/{GREETING}/labels/canary", {"version": 1, "reason": "a real run"})
        self.version_of("canary")
        rollout = self.candidate("Hello {{name}}")
        life = int(self.redis.ask("TTL", f"prompt:{GREETING}:canary"))
        self.that(life > 250, f"the key lives for {life} s")
        prompt, attributes = self.app.step("split", name=GREETING, user="usr_pseudo_prompt_demo", percent=100)
        self.that(attributes == {"prompt.name": GREETING, "prompt.version": "2", "prompt.variant": "treatment"}, f"{attributes}")
        self.redis.ask("SET", f"prompt:{GREETING}:canary", "old", "EX", "300", database=1)
        scene.command(self.admin, rollout, "rollback")
        self.reaches("canary", 1, CLEARED_SECONDS_MAX, "the rollback in the application")
        told = [record["text"] for record in self.admin.get(f"/v1/rollouts/{rollout}/audit")["records"]]
        self.that(any(text == "cache `answers` after label `canary` came to version 1: cleared" for text in told), f"history: {told}")
        found = self.redis.ask("GET", f"prompt:{GREETING}:canary", database=1)
        self.that(found.startswith("{") and json.loads(found)["version"] == 1, f"rewritten: {found}")
        self.that(int(self.redis.ask("TTL", f"prompt:{GREETING}:canary", database=1)) > 250, "what is rewritten keeps its time")
        after = self.admin.get(f"/v1/rollouts/{rollout}")["afterRollback"]
        self.that(after["redisIsCleared"] and "cut short" in after["text"], f"after a rollback: {after}")

    def try_own_rollback(self):
        """The application moves a label by the SDK, as it would in Langfuse, and does not know of the key."""
        self.app.step("create", name=GREETING, text="Good day {{name}}", labels=["staging"], message="third")
        newest = self.version_of("staging")
        self.app.step("roll_back", name=GREETING, label="staging", version=1)
        self.reaches("staging", 1, CLEARED_SECONDS_MAX, f"the application's own rollback from version {newest}")
        said = self.refused("roll_back", name=GREETING, label="production", version=newest)
        self.that("403" in said or "Forbidden" in said, f"the control label by an application: {said}")

    def try_silent_redis(self):
        """A Redis that says nothing holds up no rollback, is told of, and follows when it is back."""
        rollout = self.candidate("Hey {{name}}")
        life = int(self.redis.ask("TTL", f"prompt:{GREETING}:canary"))
        self.that(life > 200, f"the key would outlive all this: {life} s")
        self.redis.process.send_signal(signal.SIGSTOP)
        scene.command(self.admin, rollout, "rollback")
        over = lambda: self.admin.get(f"/v1/rollouts/{rollout}")["phase"]["code"] == "rolled_back"
        self.that(server.wait_until("the rollback without Redis", CLEARED_SECONDS_MAX, over), "rolled back")
        troubles = lambda: [it for it in self.admin.get("/v1/status")["troubles"] if it["code"] == "cache"]
        self.that(server.wait_until("the trouble in the status", 20, troubles), "told")
        self.running.kill()
        self.running.start()
        self.admin = server.Client(self.running, self.admin.token)
        self.redis.process.send_signal(signal.SIGCONT)
        self.reaches("canary", 1, BACK_SECONDS_MAX, "the rollback in the application, after both were away")
        server.wait_until("no trouble", 20, lambda: not troubles())


def run(options, redis, checks, command):
    policies = {ANSWERING: ANSWERING_POLICY, GREETING: scene.policy(GREETING).replace("  steps:", "  clients: {cacheTtl: 0s, redisTtl: 300s}\n  steps:")}
    running = server.Server(options.serin, policies, secret=sdk.SECRET, keep=options.keep)
    (running.folder / "serin.yaml").write_text(SETTINGS.format(port=redis.port))
    (running.folder / "redis-password").write_text(f"{PASSWORD}\n")
    with running:
        wire = Wire(running.port)
        base = f"http://127.0.0.1:{wire.port}"
        environment = {
            "LANGFUSE_HOST": base, "LANGFUSE_BASE_URL": base, "LANGFUSE_PUBLIC_KEY": "pk-lf-app",
            "TRACES_URL": f"{running.url}/api/public/otel/v1/traces", "REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:{redis.port}/0",
            "FRESH_SECONDS": str(FRESH_SECONDS), "STALE_SECONDS": str(STALE_SECONDS),
        }
        admin = server.Client(running, server.Client(running).post("/v1/tokens", {"name": "people", "scopes": ["admin"]})["token"])
        token = admin.post("/v1/tokens", {"name": "app", "scopes": ["assign", "observe", "operate"]})["token"]
        environment["LANGFUSE_SECRET_KEY"] = token
        app = sdk.Application("seeds", command, running, token, **environment)
        seeds = Seeds(running, admin, app, redis, wire, checks)
        try:
            seeds.try_falling_back(seeds.try_answering())
            seeds.try_redis()
            seeds.try_own_rollback()
            seeds.try_silent_redis()
        finally:
            app.close()
        log = (running.folder / "log").read_text()
        checks.that(PASSWORD not in log, "the password is in the log")


def main():
    options = server.arguments(__doc__.splitlines()[0]).parse_args()
    for program in ("redis-server", "redis-cli"):
        if shutil.which(program) is None:
            print(f"skipped: there is no {program}")
            return sdk.SKIPPED
    checks = server.Checks()
    commands = sdk.installed({"seeds": lambda: sdk.python(HERE, "app.py")}, checks)
    if not commands:
        return sdk.SKIPPED
    sdk.FOLDER.mkdir(parents=True, exist_ok=True)
    redis = Redis(sdk.FOLDER)
    try:
        run(options, redis, checks, commands["seeds"])
    finally:
        redis.stop()
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
