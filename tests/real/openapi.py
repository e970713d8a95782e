#!/usr/bin/env python3
"""Requests that the API's own description allows, and ones that it forbids, against the real server.

Schemathesis reads `/openapi.json` and checks every answer: no server error, the status, media type,
headers and schema that are described, refusals where the request is wrong. Once on an open loopback
server, once with a token. It must find nothing.
"""

import pathlib
import re
import subprocess
import sys

import scene
import server

POLICY = "described"
EXAMPLES = {"open": 40, "token": 15}
# Never ends by itself.
STREAMS = ["/v1/events", "/v1/route-table/events", "/ofrep/v1/events"]
# On an open server the first token shuts everybody else out.
CLOSES_THE_SERVER = ["/v1/tokens"]
INTERPRETER_CRASH = "AST constructor recursion depth mismatch"
INTERPRETER_CRASHES_MAX = 2
RUN_SECONDS_MAX = 600
CONFIGURATION = pathlib.Path(__file__).resolve().with_name("schemathesis.toml")


def furnish(running):
    """Something to ask for: a prompt, a rollout, observations."""
    client = server.Client(running)
    scene.publish(client, POLICY, "Answer {{question}}.", ["production"])
    candidate = scene.publish(client, POLICY, "Answer {{question}} briefly.", ["canary"])
    scene.begin(client, POLICY, candidate)
    lines = [{"policy": POLICY, "user": f"user-{n}", "metrics": {"helpfulness": 0.5}} for n in range(100)]
    client.post("/v1/observations", lines)
    return client


def check(running, kind, seed, token=None):
    """Runs schemathesis; gives how many operations it tested and how many failures it found."""
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION), "run",
        f"{running.url}/openapi.json",
        "--checks", "all", "--max-examples", str(EXAMPLES[kind]), "--workers", "2", "--seed", str(seed),
        "--phases", "examples,coverage,fuzzing", "--generation-database", "none",
        "--request-timeout", "20",
        "--continue-on-failure", "--no-color",
    ]
    for path in STREAMS + (CLOSES_THE_SERVER if token is None else []):
        command += ["--exclude-path", path]
    if token is not None:
        command += ["-H", f"Authorization: Bearer {token}"]
    print(f"== {kind}, seed {seed}", flush=True)
    # In the server's folder, because it leaves files behind.
    for _ in range(1 + INTERPRETER_CRASHES_MAX):
        done = subprocess.run(
            command, cwd=running.folder, capture_output=True, text=True, timeout=RUN_SECONDS_MAX, check=False
        )
        output = done.stdout + done.stderr
        # Python 3.11 now and then miscounts its own depth while it parses source; that tests nothing.
        if INTERPRETER_CRASH not in output:
            break
    print(output if token is None else output.replace(token, "srn_…"), flush=True)
    return done.returncode, output


def count(pattern, output):
    found = re.search(pattern, output)
    return int(found.group(1)) if found else 0


def main():
    options = server.arguments(__doc__.splitlines()[0]).parse_args()
    checks = server.Checks()
    for kind in EXAMPLES:
        with server.Server(options.serin, {POLICY: scene.policy(POLICY)}, keep=options.keep) as running:
            client = furnish(running)
            token = None
            if kind == "token":
                token = client.post("/v1/tokens", {"name": "described", "scopes": ["admin"]})["token"]
            code, output = check(running, kind, options.seed, token)
            tested = count(r"Tested:\s*(\d+)", output)
            checks.that(code == 0, f"{kind}: schemathesis ended with exit code {code}")
            checks.that(tested > 0, f"{kind}: schemathesis tested no operation")
            checks.passed += tested
            checks.that(running.process.poll() is None, f"{kind}: the server is gone\n{running.last_words()}")
            checks.that(client_is_answered(running), f"{kind}: the server no longer answers")
    return checks.finish()


def client_is_answered(running):
    status, _ = server.Client(running).ask("GET", "/readyz")
    return status == 200


if __name__ == "__main__":
    sys.exit(main())
