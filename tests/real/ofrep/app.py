"""An application that evaluates flags through OpenFeature and the OFREP provider of Python."""

import json
import os
import sys

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext


def provider(token):
    return OFREPProvider(os.environ["SERIN_URL"], headers_factory=lambda: {"Authorization": f"Bearer {token}"})


def labels(key, users):
    return [CLIENT.get_string_value(key, "none", EvaluationContext(user)) for user in users]


def details(key, user, kind="string", token=None, attributes=None):
    """Everything that one evaluation tells."""
    client = CLIENT
    if token is not None:
        api.set_provider(provider(token), domain="stranger")
        client = api.get_client("stranger")
    ask, fallback = {
        "string": (client.get_string_details, "none"),
        "object": (client.get_object_details, {}),
        "boolean": (client.get_boolean_details, False),
    }[kind]
    found = ask(key, fallback, EvaluationContext(user, attributes or {}))
    return {
        "value": found.value, "variant": found.variant, "reason": found.reason and str(found.reason.value),
        "error": found.error_code and found.error_code.value, "metadata": dict(found.flag_metadata),
    }


api.set_provider(provider(os.environ["SERIN_TOKEN"]))
CLIENT = api.get_client()
STEPS = {"labels": labels, "details": details}
print("answer: {}", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    try:
        answer = {"ok": STEPS[asked["step"]](**asked["arguments"])}
    except Exception as error:  # whatever the SDK raises is an answer
        answer = {"error": repr(error)}
    print("answer: " + json.dumps(answer), flush=True)
