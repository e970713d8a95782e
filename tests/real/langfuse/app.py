"""An application that uses a Python SDK of Langfuse, of any major version, with its default settings.

Each line on standard input names a step and its arguments as JSON; each is answered by one line that
begins with `answer:` and has what the SDK gave, or the exception that it raised.
"""

import json
import os
import sys
import time

from langfuse import Langfuse

KEYS = {"public_key": "pk-lf-app", "host": os.environ["SERIN_URL"]}


class App:
    def __init__(self):
        self.langfuse = Langfuse(secret_key=os.environ["SERIN_TOKEN"], **KEYS)
        self.is_v2 = hasattr(self.langfuse, "score")

    def other(self, token):
        """A client with other keys; Python clients share by public key what they have fetched."""
        return Langfuse(secret_key=token, **{**KEYS, "public_key": f"pk-lf-{token[-6:]}"})

    def check(self):
        return self.langfuse.auth_check()

    def create(self, **draft):
        return shown(self.langfuse.create_prompt(**draft))

    def fetch(self, name, token=None, **which):
        langfuse = self.other(token) if token else self.langfuse
        return shown(langfuse.get_prompt(name, **which))

    def fallback(self, name):
        return shown(self.langfuse.get_prompt(name, fallback="Hello {{name}}"))

    def compile(self, name, variables, **which):
        return self.langfuse.get_prompt(name, **which).compile(**variables)

    def label(self, name, version, labels, token=None):
        langfuse = self.other(token) if token else self.langfuse
        langfuse.update_prompt(name=name, version=version, new_labels=labels)
        return True

    def trace(self, name, user, label):
        """A traced call of a model that used the prompt; gives the trace."""
        prompt = self.langfuse.get_prompt(name, label=label)
        if self.is_v2:
            trace = self.langfuse.trace(name="request", user_id=user)
            trace.generation(name="call", prompt=prompt, input="?", output="!").end()
            return trace.id
        with self.langfuse.start_as_current_observation(name="call", as_type="generation", prompt=prompt):
            return self.langfuse.get_current_trace_id()

    def score(self, scores):
        for score in scores:
            if self.is_v2:
                self.langfuse.score(**{"id" if key == "score_id" else key: value for key, value in score.items()})
            else:
                self.langfuse.create_score(**score)
        return True

    def flush(self):
        self.langfuse.flush()
        return True


def shown(prompt):
    fields = ("name", "version", "prompt", "config", "labels", "tags", "is_fallback", "commit_message")
    return {field: getattr(prompt, field) for field in fields}


def main():
    app = App()
    print("answer:", json.dumps({"ok": "ready"}), flush=True)
    for line in sys.stdin:
        step = json.loads(line)
        began = time.monotonic()
        try:
            answer = {"ok": getattr(app, step["step"])(**step["arguments"])}
        except Exception as raised:  # whatever an SDK raises is an answer
            answer = {"error": f"{type(raised).__name__}: {raised}"}
        answer["seconds"] = time.monotonic() - began
        print("answer:", json.dumps(answer, default=str), flush=True)


if __name__ == "__main__":
    main()
