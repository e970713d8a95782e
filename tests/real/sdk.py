"""Real SDKs, each in an application of its own that answers steps on its standard input.

Each line names a step and its arguments as JSON; each is answered by one line that begins with `answer:`
and has what the SDK gave, or the exception that it raised.
"""

import json
import os
import pathlib
import subprocess
import sys
import urllib.parse

import scene
import server

FOLDER = pathlib.Path("target/ci").resolve()
INSTALL_SECONDS_MAX = 400
# Time to send what is still buffered.
CLOSE_SECONDS_MAX = 60
SKIPPED = 77
# What a line of the application begins with that is an answer.
ANSWER = "answer: "
SECRET = "5e" * 32
# Percent of users in treatment, as scene.policy has the steps.
LADDER = [5, 25, 50, 100]
# What the caller's environment must not say to an SDK.
STRANGERS = ("LANGFUSE_", "OTEL_", "SERIN_", "UNLEASH_", "FLAGD_", "GROWTHBOOK_")


class Unavailable(Exception):
    """An SDK cannot be had here."""


def install(command, where):
    try:
        done = subprocess.run(
            command, cwd=where, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as failed:
        raise Unavailable(f"{command[0]}: {failed}") from failed
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise Unavailable(f"{' '.join(command[:3])}: {last}")


def python(here, app):
    """The command of a Python application with the packages of its folder's requirements.txt."""
    folder = FOLDER / here.name
    folder.mkdir(parents=True, exist_ok=True)
    wanted = (here / "requirements.txt").read_text()
    venv = folder / "python"
    interpreter, installed = venv / "bin" / "python", venv / "installed"
    if not installed.exists() or installed.read_text() != wanted:
        install([sys.executable, "-m", "venv", "--clear", str(venv)], folder)
        install([str(interpreter), "-m", "pip", "install", "--quiet", "-r", str(here / "requirements.txt")], folder)
        installed.write_text(wanted)
    return [str(interpreter), str(here / app)]


def node(here, app, *arguments):
    """The command of a Node application with the packages of its folder's package.json."""
    modules = FOLDER / here.name / "javascript"
    modules.mkdir(parents=True, exist_ok=True)
    wanted = (here / "package.json").read_text()
    installed = modules / "installed"
    if not installed.exists() or installed.read_text() != wanted:
        (modules / "package.json").write_text(wanted)
        install(["npm", "install", "--no-audit", "--no-fund"], modules)
        installed.write_text(wanted)
    for script in [*here.glob("*.mjs"), here.parent / "steps.mjs"]:
        (modules / script.name).write_text(script.read_text())
    return ["node", str(modules / app), *arguments]


def installed(commands, checks):
    """What each of these functions gives, by name; an SDK that cannot be had is skipped with a line.

    To be called before the server starts: it may take minutes, and connections do not wait.
    """
    found = {}
    for name, command in commands.items():
        try:
            found[name] = command()
        except Unavailable as unavailable:
            print(f"skipped: {name}: {unavailable}", flush=True)
            checks.skipped += 1
    return found


class Application:
    """The application's process."""

    def __init__(self, name, command, running, token, **environment):
        kept = {key: value for key, value in os.environ.items() if not key.startswith(STRANGERS)}
        self.name = name
        self.errors = running.folder / f"{name.replace(' ', '-')}.log"
        self.process = subprocess.Popen(
            command, env={**kept, "SERIN_URL": running.url, "SERIN_TOKEN": token, **environment},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors.open("ab"), text=True,
        )
        self.read()

    def read(self):
        """The next answer; what an SDK prints besides is left alone."""
        for line in self.process.stdout:
            if line.startswith(ANSWER):
                return json.loads(line.removeprefix(ANSWER))
        raise server.Refused(f"{self.name} ended\n{self.errors.read_text()[-3000:]}")

    def ask(self, step, **arguments):
        """The application's answer as it came."""
        self.process.stdin.write(json.dumps({"step": step, "arguments": arguments}) + "\n")
        self.process.stdin.flush()
        return self.read()

    def step(self, step, **arguments):
        """What the SDK gave; what it raised is raised here."""
        answer = self.ask(step, **arguments)
        if "error" in answer:
            raise server.Refused(f"{self.name}: {step}: {answer['error']}")
        return answer["ok"]

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=CLOSE_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()


def assigned(client, policy, users):
    """The label of each user, as `GET /v1/assignments` says."""
    query = [f"/v1/assignments/{policy}?user={urllib.parse.quote(user, safe='')}" for user in users]
    return [client.expect("GET", path)["label"] for path in query]


def start(client, policy):
    """A prompt with a candidate; the rollout of it."""
    scene.publish(client, policy, "Answer {{question}}.", ["production"])
    candidate = scene.publish(client, policy, "Answer {{question}} briefly.", ["canary"])
    return scene.begin(client, policy, candidate)


class Climb:
    """Holds what SDKs say on each step against the server, and against the step before."""

    def __init__(self, client, policy, users, checks):
        self.client = client
        self.policy = policy
        self.users = users
        self.checks = checks
        self.before = {}
        self.expected = []

    def check(self, application, when, label_of, expected):
        """`label_of` gives the labels of all users as the SDK says."""
        try:
            found = label_of(application)
        except server.Refused as refused:
            self.checks.that(False, f"{application.name}, {when}: {refused}")
            return
        wrong = [it for it in zip(self.users, expected, found) if it[1] != it[2]]
        self.checks.that(not wrong, f"{application.name}, {when}: {len(wrong)} users differ, such as {wrong[:3]}")
        treated = {user for user, label in zip(self.users, found) if label == "canary"}
        if when == "rolled back":
            self.checks.that(not treated, f"{application.name}: {len(treated)} users are treated after the rollback")
        else:
            left = self.before.get(application.name, set()) - treated
            self.checks.that(not left, f"{application.name}, {when}: {len(left)} users left treatment")
        self.before[application.name] = treated
        print(f"{application.name}, {when}: {len(treated)} of {len(self.users)} treated", flush=True)

    def run(self, applications, label_of, moved=lambda when: None):
        """Up every step, then back; `moved` is called after each transition."""
        rollout = start(self.client, self.policy)
        for at, share in enumerate(LADDER):
            if at > 0:
                scene.command(self.client, rollout, "step")
            self.rung(f"{share}%", applications, label_of, moved)
        scene.command(self.client, rollout, "rollback")
        self.rung("rolled back", applications, label_of, moved)

    def rung(self, when, applications, label_of, moved):
        moved(when)
        self.expected = assigned(self.client, self.policy, self.users)
        for application in applications:
            self.check(application, when, label_of, self.expected)
