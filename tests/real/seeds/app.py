"""The process around both applications.

Each line on standard input names a step and its arguments as JSON; each is answered by one line that begins
with `answer:` and has what the step gave, or the exception that it raised.
"""

import json
import os
import sys
import urllib.request

import redis
from langfuse import Langfuse
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from answering import Agent, Prompts
from registry import PromptRegistry


class App:
    def __init__(self):
        token = os.environ["SERIN_TOKEN"]
        provider = TracerProvider()
        headers = {"authorization": f"Bearer {token}"}
        provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(os.environ["TRACES_URL"], headers=headers)))
        langfuse = Langfuse(tracing_enabled=False)
        self.calls = 0
        prompts = Prompts(langfuse, float(os.environ["FRESH_SECONDS"]), float(os.environ["STALE_SECONDS"]))
        self.agent = Agent(prompts, provider.get_tracer("agent"), self.model)
        self.registry = PromptRegistry(langfuse, redis.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=1))
        self.headers = {**headers, "content-type": "application/json"}

    def model(self, messages):
        self.calls += 1
        return messages[-1]["content"].upper()

    def ask(self, **request):
        return self.agent.answer(**request)

    def count(self):
        return self.calls

    def score(self, trace, name, value):
        """A score over HTTP: without tracing the SDK drops those that it is given."""
        body = json.dumps({"traceId": trace, "name": name, "value": value, "dataType": "NUMERIC"}).encode()
        url = f"{os.environ['LANGFUSE_HOST']}/api/public/scores"
        with urllib.request.urlopen(urllib.request.Request(url, body, self.headers), timeout=10) as answer:
            return json.load(answer)["id"]

    def get(self, name, label):
        prompt, source = self.registry.get(name, label)
        return {**prompt, "source": source}

    def split(self, name, user, percent):
        return self.registry.split(name, user, percent)

    def create(self, **draft):
        return self.registry.create(**draft)

    def roll_back(self, **where):
        self.registry.roll_back(**where)
        return True


def main():
    app = App()
    print("answer:", json.dumps({"ok": "ready"}), flush=True)
    for line in sys.stdin:
        step = json.loads(line)
        try:
            answer = {"ok": getattr(app, step["step"])(**step["arguments"])}
        except Exception as raised:  # whatever an application raises is an answer
            answer = {"error": f"{type(raised).__name__}: {raised}"}
        print("answer:", json.dumps(answer, default=str), flush=True)


if __name__ == "__main__":
    main()
