#!/usr/bin/env python3
"""Assignments over HTTP: Serin beside a bare axum, in alternating rounds.

Serin runs as it does in production: tokens, telemetry, a rollout at 25%. `bare` (benches/peers) is an axum
route that answers with a body of the same form. In each round `wrk` (Debian has it) asks bare, Serin, and
bare again; what is printed is Serin's requests per second and its CPU time per request, as ratios to the mean
of bare's two in the same round. Every request names another user.

  cargo build --release
  cargo build --release --manifest-path benches/peers/Cargo.toml
  python3 benches/over_http.py

An Unleash Edge on the PATH (`cargo install unleash-edge`) joins the rounds, with the same split of one feature
that its frontend API evaluates; it goes on without Unleash itself. Any other server that is running joins
with `--beside NAME PID URL`; `--header` gives it its token.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "real"))
import scene  # noqa: E402
import server  # noqa: E402

POLICY = "answers"
CONNECTIONS = 32
WARM_UP_SECONDS = 1
# Budgets: requests per second and CPU per request, as ratios to bare.
BUDGETS = {"assignment": (0.90, 1.15), "ofrep": (0.80, 1.25)}
LUA = {
    "assignment": """
local count = 0
request = function()
  count = count + 1
  return wrk.format("GET", "/v1/assignments/%s?user=user-" .. count, {["Authorization"] = "Bearer %s"})
end
""",
    "ofrep": """
local count = 0
request = function()
  count = count + 1
  local body = '{"context":{"targetingKey":"user-' .. count .. '"}}'
  local headers = {["Authorization"] = "Bearer %s", ["Content-Type"] = "application/json"}
  return wrk.format("POST", "/ofrep/v1/evaluate/flags/%s", headers, body)
end
""",
}
EDGE_TOKEN = "*:production.of-the-bench"
# One that nobody uses: without any, it takes none for its frontend API.
EDGE_CLIENT_TOKEN = "*:production.of-a-client"
EDGE_LUA = """
local count = 0
request = function()
  count = count + 1
  return wrk.format("GET", "/api/frontend/features/%s?userId=user-" .. count, {["Authorization"] = "%s"})
end
"""


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask(url, pid, script, seconds):
    """Requests per second, CPU microseconds per request, and the 99th percentile of the latency in ms."""

    def wrk(duration, *more):
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{duration}s", *more, *script, url]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    wrk(WARM_UP_SECONDS)
    before = cpu_seconds(pid)
    text = wrk(seconds, "--latency")
    spent = cpu_seconds(pid) - before
    if refused := re.search(r"Non-2xx.*|Socket errors.*", text):
        raise SystemExit(f"{url}: {refused[0]}")
    requests = int(re.search(r"(\d+) requests in", text)[1])
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    return rate, spent / requests * 1e6, float(value) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


@contextlib.contextmanager
def edge(program, folder):
    """An Unleash Edge with one feature for a quarter of its users, as one of `others`; none without the program."""
    if program is None:
        print("unleash-edge is not installed: measured without it")
        yield []
        return
    split = {"rollout": "25", "stickiness": "userId", "groupId": POLICY}
    variants = [{"name": "canary", "weight": 1000, "weightType": "fix", "stickiness": "userId"}]
    strategy = {"name": "flexibleRollout", "parameters": split, "variants": variants}
    feature = {"name": POLICY, "type": "release", "enabled": True, "project": "default", "strategies": [strategy]}
    features = folder / "features.json"
    features.write_text(json.dumps({"version": 2, "features": [feature]}))
    script = folder / "edge.lua"
    script.write_text(EDGE_LUA % (POLICY, EDGE_TOKEN))
    port = server.free_port()
    tokens = ["--client-tokens", EDGE_CLIENT_TOKEN, "--frontend-tokens", EDGE_TOKEN]
    command = [program, "--port", str(port), "offline", "--bootstrap-file", str(features), *tokens]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        time.sleep(2)
        yield [("unleash-edge", f"http://127.0.0.1:{port}", running.pid, ["-s", str(script)])]
    finally:
        running.kill()


def rollout_at_a_quarter(client):
    candidate = [scene.publish(client, POLICY, text, [label]) for text, label in (
        ("Answer {{question}}.", "production"), ("Answer {{question}} briefly.", "canary"),
    )][-1]
    rollout = scene.begin(client, POLICY, candidate)
    scene.command(client, rollout, "step")


def rounds(kind, bare, others, options):
    """The ratios of each of `others`, by name; each is (name, url, pid, script)."""
    found = {name: [] for name, *_ in others}
    for number in range(1, options.rounds + 1):
        before = ask(*bare, options.seconds)
        for name, url, pid, script in others:
            theirs = ask(url, pid, script, options.seconds)
            after = ask(*bare, options.seconds)
            rate, cpu = ((one + other) / 2 for one, other in zip(before[:2], after[:2]))
            ratios = theirs[0] / rate, theirs[1] / cpu
            found[name].append(ratios)
            print(
                f"{kind:10} round {number}: {name} {theirs[0]:8.0f}/s {theirs[1]:6.1f} us p99 {theirs[2]:5.2f} ms, "
                f"bare {rate:8.0f}/s {cpu:5.1f} us: {ratios[0]:.2f} of its requests, {ratios[1]:.2f} of its CPU",
                flush=True,
            )
            before = after
    return found


def tell(kind, found):
    """Prints the medians; whether Serin's are within budget."""
    medians = {name: [statistics.median(column) for column in zip(*ratios)] for name, ratios in found.items()}
    held = True
    for name, (rate, cpu) in medians.items():
        budget = ""
        if name == "serin":
            least, most = BUDGETS[kind]
            held &= rate >= least and cpu <= most
            budget = f"; budget {least} and {most}{'' if held else ': MISSED'}"
        print(f"{kind:10} median: {name} {rate:.2f} of bare's requests, {cpu:.2f} of its CPU{budget}")
    if "unleash-edge" in medians:
        rate, cpu = (ours / theirs for ours, theirs in zip(medians["serin"], medians["unleash-edge"]))
        print(f"{kind:10} {rate:.2f} times the requests of unleash-edge, {cpu:.2f} of its CPU")
    return held


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--serin", default="target/release/serin", help="the program [default: %(default)s]")
    parser.add_argument("--bare", default="benches/peers/target/release/bare", help="the other [default: %(default)s]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement [default: %(default)s]")
    parser.add_argument("--beside", nargs=3, action="append", default=[], metavar=("NAME", "PID", "URL"))
    edge_found = shutil.which("unleash-edge")
    parser.add_argument("--edge", default=edge_found, help="an Unleash Edge [default: the one on the PATH]")
    parser.add_argument("--header", default="", help="a header for those servers, such as `Authorization: TOKEN`")
    options = parser.parse_args()
    missed = False
    with server.Server(options.serin, {POLICY: scene.policy(POLICY)}) as running, tempfile.TemporaryDirectory() as folder:
        admin = server.Client(running).post("/v1/tokens", {"name": "admin", "scopes": ["admin"]})["token"]
        client = server.Client(running, admin)
        token = client.post("/v1/tokens", {"name": "bench", "scopes": ["assign"]})["token"]
        rollout_at_a_quarter(client)
        address = f"127.0.0.1:{server.free_port()}"
        bare = subprocess.Popen([options.bare, address])
        try:
            time.sleep(1)
            with edge(options.edge, pathlib.Path(folder)) as edges:
                for kind, lua in LUA.items():
                    script = pathlib.Path(folder) / f"{kind}.lua"
                    script.write_text(lua % ((POLICY, token) if kind == "assignment" else (token, POLICY)))
                    lua_script = ["-s", str(script)]
                    header = ["-H", options.header] if options.header else []
                    others = [("serin", running.url, running.process.pid, lua_script)]
                    # What it evaluates is what OFREP asks for.
                    others += edges if kind == "ofrep" else []
                    others += [(name, url, int(pid), header) for name, pid, url in options.beside]
                    found = rounds(kind, (f"http://{address}", bare.pid, lua_script), others, options)
                    missed |= not tell(kind, found)
        finally:
            bare.kill()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
