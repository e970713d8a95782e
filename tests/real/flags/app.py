"""An application that evaluates by itself with the Python SDK of another system, named as its argument."""

import json
import os
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

URL, TOKEN = os.environ["SERIN_URL"], os.environ["SERIN_TOKEN"]
# How often the flag file is asked for anew; flagd's core itself fetches nothing.
FILE_SECONDS = 0.1


def growthbook():
    from growthbook import GrowthBook

    client = GrowthBook(api_host=URL, client_key=TOKEN, streaming=True)
    client.load_features()

    def label(key, user):
        client.set_attributes({"id": user})
        return client.get_feature_value(key, "none")

    return label


def unleash():
    from UnleashClient import UnleashClient
    from UnleashClient.cache import FileCache

    client = UnleashClient(
        url=f"{URL}/api", app_name="real-run", custom_headers={"Authorization": TOKEN},
        cache=FileCache("real-run", directory=tempfile.mkdtemp()), experimental_mode={"type": "streaming"},
    )
    client.initialize_client()

    def label(key, user):
        return client.get_variant(key, {"userId": user}).get("payload", {}).get("value", "none")

    return label


def flagd():
    from openfeature.contrib.tools.flagd.core import FlagdCore
    from openfeature.evaluation_context import EvaluationContext

    core, tag = FlagdCore(), [None]

    def fetch():
        headers = {"Authorization": f"Bearer {TOKEN}"}
        if tag[0]:
            headers["If-None-Match"] = tag[0]
        try:
            with urllib.request.urlopen(urllib.request.Request(f"{URL}/flagd/v3/flags.json", headers=headers)) as answer:
                core.set_flags(answer.read().decode())
                tag[0] = answer.headers["ETag"]
        except urllib.error.HTTPError as error:
            if error.code != 304:
                raise

    def keep():
        while True:
            time.sleep(FILE_SECONDS)
            fetch()

    fetch()
    threading.Thread(target=keep, daemon=True).start()
    return lambda key, user: core.resolve_string_value(key, "none", EvaluationContext(user)).value


LABEL = {"growthbook": growthbook, "unleash": unleash, "flagd": flagd}[sys.argv[1]]()
print("answer: {}", flush=True)
for line in sys.stdin:
    asked = json.loads(line)["arguments"]
    try:
        answer = {"ok": [LABEL(asked["key"], user) for user in asked["users"]]}
    except Exception as error:  # whatever the SDK raises is an answer
        answer = {"error": repr(error)}
    print("answer: " + json.dumps(answer), flush=True)
os._exit(0)
