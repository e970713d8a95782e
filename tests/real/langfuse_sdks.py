#!/usr/bin/env python3
"""The real SDKs of Langfuse, Python 2 to 5 and JavaScript 3 and 5, against the real server.

Each runs in an application of its own with its default settings: it makes prompts, fetches them by
version and label, fills them in, moves labels, is refused, and sends scores. What it gets is checked, and
so is how many requests the server saw: no refusal may be sent again and again. The scores must arrive as
observations of the right arm.
"""

import pathlib
import re
import sys

import scene
import sdk
import server

HERE = pathlib.Path(__file__).resolve().parent / "langfuse"
FOLDER = sdk.FOLDER / HERE.name
METRIC = "helpfulness"
SCORES = 12
# Requests for one call that is answered with 404 or 401: what each SDK does by itself, at Langfuse too.
MISSING_REQUESTS = {"python 2": 2, "python 3": 3, "python 4": 3, "python 5": 3, "javascript 3": 1, "javascript 5": 1}
# A refusal is told at once.
REFUSED_SECONDS_MAX = 8


def python_app(requirement):
    """The command of the application with this version of the Python SDK."""
    version = requirement.split("==")[1]
    venv = FOLDER / f"python-{version}"
    python = venv / "bin" / "python"
    if not (venv / "installed").exists():
        sdk.install([sys.executable, "-m", "venv", "--clear", str(venv)], FOLDER)
        sdk.install([str(python), "-m", "pip", "install", "--quiet", requirement], FOLDER)
        (venv / "installed").touch()
    return [str(python), str(HERE / "app.py")]


def sdks():
    """Each SDK's name, and what gives its command."""
    lines = (HERE / "requirements.txt").read_text().splitlines()
    for requirement in [line for line in lines if line.startswith("langfuse==")]:
        yield f"python {requirement.split('==')[1].split('.')[0]}", lambda it=requirement: python_app(it)
    for major in ("3", "5"):
        yield f"javascript {major}", lambda it=major: sdk.node(HERE, "app.mjs", it)


class App(sdk.Application):
    """The application's process, and what the server says of its requests."""

    def __init__(self, name, command, running, token):
        super().__init__(name, command, running, token)
        self.client = server.Client(running, token)

    def requests(self):
        """Requests that the server has answered under Langfuse's paths, by status."""
        found = {}
        pattern = r'^serin_http_requests_total\{method="[A-Z]+",route="(/api/public/[^"]*)",status="(\d+)"\} (\d+)$'
        for route, status, count in re.findall(pattern, self.client.get("/metrics"), re.MULTILINE):
            found[int(status)] = found.get(int(status), 0) + int(count)
        return found

    def exports(self):
        """Exports of spans that the server has accepted."""
        found = re.search(r'^serin_trace_events_total\{source="export"\} (\d+)$', self.client.get("/metrics"), re.MULTILINE)
        return int(found.group(1)) if found else 0

    def step(self, step, **arguments):
        """What the SDK gave, or `None` and what it raised; how many requests it made of each status."""
        before = self.requests()
        answer = self.ask(step, **arguments)
        after = self.requests()
        made = {status: count - before.get(status, 0) for status, count in after.items()}
        self.seconds = answer["seconds"]
        self.made = {status: count for status, count in made.items() if count}
        self.raised = answer.get("error")
        return answer.get("ok")


def try_prompts(app, name, check):
    """Making, fetching, filling in."""
    first = app.step(
        "create", name=name, prompt="Hi {{name}}", labels=["production"], tags=["b", "a"],
        config={"model": "m", "temperature": 0.2}, commit_message="shorter",
    )
    check(first and first["version"] == 1, f"create: {first} {app.raised}")
    check(app.made == {201: 1}, f"create made {app.made}")
    second = app.step("create", name=name, prompt="Good day {{name}}", labels=["canary"])
    check(second and second["version"] == 2, f"create again: {second} {app.raised}")
    for which, version in [({}, 1), ({"label": "canary"}, 2), ({"version": 1}, 1), ({"label": "latest"}, 2)]:
        found = app.step("fetch", name=name, **which)
        check(found and found["version"] == version, f"fetch {which}: {found} {app.raised}")
        check(app.made == {200: 1}, f"fetch {which} made {app.made}")
        app.step("fetch", name=name, **which)
        check(app.made == {}, f"fetch {which} from the cache made {app.made}")
    found = app.step("fetch", name=name)
    check(found["config"] == {"model": "m", "temperature": 0.2}, f"config: {found}")
    check(set(found["labels"]) == {"production"} and set(found["tags"]) == {"a", "b"}, f"labels and tags: {found}")
    check(not found["is_fallback"] and found["commit_message"] == "shorter", f"fields: {found}")
    text = app.step("compile", name=name, variables={"name": "Ann"})
    check(text == "Hi Ann", f"compile: {text} {app.raised}")
    folder = f"folder/of {name}"
    made = app.step("create", name=folder, prompt="x", labels=["production"])
    found = app.step("fetch", name=folder)
    check(made and found and found["name"] == folder, f"folder: {made} {found} {app.raised}")
    check(app.step("label", name=folder, version=1, labels=["beta"]), f"label in a folder: {app.raised}")


def try_chat(app, name, kind, check):
    """Chats with a place for messages, where the SDK knows such."""
    items = [{"role": "system", "content": "You help {{name}}."}, {"role": "user", "content": "Hi"}]
    history = [{"role": "user", "content": "before"}]
    has_places = kind != "python 2"
    draft = items[:1] + ([{"type": "placeholder", "name": "history"}] if has_places else []) + items[1:]
    made = app.step("create", name=f"{name}-chat", type="chat", prompt=draft, labels=["production"])
    check(made is not None, f"create a chat: {app.raised}")
    given = {"variables": {"name": "Ann"}}
    if has_places and kind.startswith("python"):
        given["variables"]["history"] = history
    elif has_places:
        given["placeholders"] = {"history": history}
    messages = app.step("compile", name=f"{name}-chat", type="chat", **given)
    said = [(message["role"], message["content"]) for message in messages or []]
    expected = [("system", "You help Ann.")] + ([("user", "before")] if has_places else []) + [("user", "Hi")]
    check(said == expected, f"compile a chat: {messages} {app.raised}")


def try_labels(app, name, check):
    """Moving labels is seen by the one who moves them at once."""
    check(app.step("label", name=name, version=1, labels=["beta"]), f"label: {app.raised}")
    check(app.made == {200: 1}, f"label made {app.made}")
    app.step("label", name=name, version=2, labels=["beta"])
    found = app.step("fetch", name=name, label="beta")
    check(found and found["version"] == 2 and "beta" in found["labels"], f"fetch what was moved: {found} {app.raised}")


def try_refusals(app, name, kind, limited, check):
    """Refusals are raised soon, and not sent again more often than Langfuse's own would be."""
    requests = MISSING_REQUESTS[kind]
    for what, status, arguments in [
        ("a missing label", 404, {"name": name, "label": "nowhere"}),
        ("a missing prompt", 404, {"name": f"{name}-nobody"}),
        ("wrong keys", 401, {"name": name, "token": "sk-lf-wrong"}),
    ]:
        found = app.step("fetch", **arguments)
        check(found is None and app.raised, f"{what}: {found}")
        check(app.made == {status: requests}, f"{what} made {app.made}, not {requests} with {status}")
        check(app.seconds < REFUSED_SECONDS_MAX, f"{what} took {app.seconds:.1f} s")
    found = app.step("fallback", name=f"{name}-fallback")
    check(found and found["is_fallback"] and found["prompt"] == "Hello {{name}}", f"fallback: {found} {app.raised}")
    # The control label of a policy is moved by promotion alone.
    found = app.step("label", name=name, version=2, labels=["production"], token=limited)
    check(app.made == {403: 1}, f"a protected label made {app.made}")
    check(app.seconds < REFUSED_SECONDS_MAX, f"a protected label took {app.seconds:.1f} s")
    if kind.startswith("python"):
        check(found is None and app.raised, f"a protected label: {found}")


def try_scores(app, name, kind, check):
    """Scores arrive, each once, at the arm of the version that was served."""
    rollout = scene.begin(app.client, name, 2)
    if kind.startswith("python"):
        check(app.step("check") is True, f"auth_check: {app.raised}")
    scores = []
    for number in range(SCORES):
        score = {"score_id": f"{name}-{number}", "name": METRIC, "value": 0.5 + number / 100}
        version = 1 + number % 2
        if kind in ("python 2", "javascript 3") and number < SCORES // 2:
            # The trace says which prompt it was, as it does for a tracing system.
            label = "production" if version == 1 else "canary"
            score["trace_id"] = app.step("trace", name=name, user=f"user-{number}", label=label)
            check(score["trace_id"] is not None, f"trace: {app.raised}")
        else:
            score["trace_id"] = f"{number:032x}"
            score["metadata"] = {"prompt_name": name, "prompt_version": version}
        scores.append(score)
    exports_spans = kind in ("python 3", "python 4", "python 5")
    exported = app.exports()
    if exports_spans:
        check(app.step("trace", name=name, user="user-0", label="canary"), f"trace: {app.raised}")
    scores.append({"score_id": f"{name}-word", "trace_id": "0" * 32, "name": "tone", "value": "kind", "data_type": "CATEGORICAL"})
    before = app.requests()
    app.step("score", scores=scores)
    check(app.raised is None, f"score: {app.raised}")
    app.step("flush")
    check(app.raised is None, f"flush: {app.raised}")
    made = {status: count - before.get(status, 0) for status, count in app.requests().items()}
    made = {status: count for status, count in made.items() if count}
    check(set(made) <= {200, 202, 207}, f"scores made {made}")
    check(sum(made.values()) <= SCORES + 4, f"scores made {made}: some were sent again")

    check(app.exports() > exported or not exports_spans, "no export of spans was accepted")

    def counted():
        evidence = scene.evidence(app.client, rollout)
        counts = evidence and (evidence["control"]["count"], evidence["treatment"]["count"])
        return counts == (SCORES // 2, SCORES // 2) and counts

    try:
        server.wait_until("the scores", 20, counted)
        check(True, "")
    except server.Refused as late:
        evidence = scene.evidence(app.client, rollout)
        check(False, f"{late}: {evidence and (evidence['control'], evidence['treatment'])}")
    kept = app.client.get("/api/public/v3/scores", name="tone", id=f"{name}-word")["data"]
    check([score["value"] for score in kept] == ["kind"], f"kept: {kept}")


def play(kind, command, running, tokens, checks):
    name = "sdk-" + kind.replace(" ", "-")
    app = App(name, command, running, tokens["app"])

    def check(holds, what):
        checks.that(holds, f"{kind}: {what}")

    try:
        try_prompts(app, name, check)
        try_chat(app, name, kind, check)
        try_labels(app, name, check)
        try_refusals(app, name, kind, tokens["limited"], check)
        try_scores(app, name, kind, check)
    except server.Refused as refused:
        check(False, str(refused))
    finally:
        app.close()


def main():
    parser = server.arguments(__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="the SDKs whose names begin so, such as `python 4`")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    checks = server.Checks()
    kinds = {kind: command for kind, command in sdks() if kind.startswith(options.only)}
    policies = {f"sdk-{kind.replace(' ', '-')}": scene.policy(f"sdk-{kind.replace(' ', '-')}") for kind in kinds}
    with server.Server(options.serin, policies, keep=options.keep) as running:
        admin = server.Client(running).post("/v1/tokens", {"name": "app", "scopes": ["admin"]})["token"]
        limited = {"name": "limited", "scopes": ["operate"]}
        tokens = {"app": admin, "limited": server.Client(running, admin).post("/v1/tokens", limited)["token"]}
        for kind, command in kinds.items():
            try:
                command = command()
            except sdk.Unavailable as unavailable:
                print(f"skipped: {kind}: {unavailable}", flush=True)
                checks.skipped += 1
                continue
            before = (checks.passed, checks.failed)
            play(kind, command, running, tokens, checks)
            print(f"{kind}: {checks.passed - before[0]} held, {checks.failed - before[1]} did not", flush=True)
    if not checks.passed and not checks.failed:
        print("skipped: no SDK of Langfuse can be had")
        return sdk.SKIPPED
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
