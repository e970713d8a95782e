"""An agent that answers with a managed prompt, fetched by label, as people write it with Langfuse's SDK.

Users are split between two labels by a hash of their pseudonymous id. A prompt that cannot be fetched in
time is served from a cache for a bounded time, and the trace says so; a label that is missing, or variables
that do not fit, end the request before the model is called.
"""

import dataclasses
import hashlib
import re
import time

from opentelemetry import trace

LABELS = ("prod-a", "prod-b")
VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


class PromptMissing(Exception):
    """No version has the label: nothing else takes its place."""


class PromptUnavailable(Exception):
    """The registry does not answer, and what is kept is too old, or nothing is."""


class VariableMismatch(Exception):
    """The template asks for other variables than the application has."""


def label_of(user):
    """The label of a user: the parity of a whole hash, so that any id will do."""
    digest = hashlib.sha256(f"order-status:{user}".encode()).digest()
    return LABELS[int.from_bytes(digest, "big") % len(LABELS)]


@dataclasses.dataclass(frozen=True)
class Template:
    """A version as it was fetched; never filled in."""

    name: str
    version: int
    label: str
    messages: tuple
    fetched_at: float

    def compile(self, variables):
        wanted = {name for role, content in self.messages for name in VARIABLE.findall(content)}
        if wanted != set(variables):
            raise VariableMismatch(f"the template asks for {sorted(wanted)}, not {sorted(variables)}")
        return [
            {"role": role, "content": VARIABLE.sub(lambda found: variables[found.group(1)], content)}
            for role, content in self.messages
        ]


class Prompts:
    """Fetches templates; keeps each for `fresh` seconds, and `stale` more while the registry is away."""

    TEMPLATES_MAX = 100

    def __init__(self, langfuse, fresh, stale):
        self.langfuse = langfuse
        self.fresh = fresh
        self.stale = stale
        self.kept = {}

    def fetch(self, name, label, span):
        kept = self.kept.get((name, label))
        age = None if kept is None else time.monotonic() - kept.fetched_at
        if age is not None and age < self.fresh:
            span.set_attribute("app.prompt.fetch.source", "registry")
            return kept
        try:
            # The SDK's own cache would serve what is stale for ever, and without a word.
            prompt = self.langfuse.get_prompt(
                name, label=label, type="chat", cache_ttl_seconds=0, max_retries=0, fetch_timeout_seconds=1
            )
        except Exception as error:
            return self.fall_back(name, label, span, error)
        if not prompt.version:
            raise PromptMissing(f"{name} {label} has no version")
        messages = tuple((message["role"], message["content"]) for message in prompt.prompt)
        template = Template(name, prompt.version, label, messages, time.monotonic())
        if len(self.kept) >= self.TEMPLATES_MAX:
            self.kept.pop(next(iter(self.kept)))
        self.kept[name, label] = template
        span.set_attribute("app.prompt.fetch.source", "registry")
        return template

    def fall_back(self, name, label, span, error):
        span.set_attribute("error.type", type(error).__name__)
        kept = self.kept.get((name, label))
        if getattr(error, "status_code", None) == 404:
            self.kept.pop((name, label), None)
            span.set_attribute("app.prompt.fetch.source", "unavailable")
            raise PromptMissing(f"{name} has no label {label}") from error
        if kept is not None and time.monotonic() - kept.fetched_at < self.fresh + self.stale:
            span.set_attribute("app.prompt.fetch.source", "cache")
            span.add_event("prompt.cache_fallback", {"prompt.version": kept.version})
            return kept
        span.set_attribute("app.prompt.fetch.source", "unavailable")
        raise PromptUnavailable(f"{name} {label}") from error


class Agent:
    """One request: fetch the prompt, fill it in, call the model, all of it traced."""

    def __init__(self, prompts, tracer, model):
        self.prompts = prompts
        self.tracer = tracer
        self.model = model

    def answer(self, name, user, variables, label=None):
        label = label or label_of(user)
        with self.tracer.start_as_current_span("request", attributes={"user.id": user}) as request:
            with self.tracer.start_as_current_span("prepare prompt") as preparing:
                template = self.prompts.fetch(name, label, preparing)
                messages = template.compile(variables)
            attributes = {
                "langfuse.observation.type": "generation",
                "langfuse.observation.prompt.name": template.name,
                "langfuse.observation.prompt.version": template.version,
                "langfuse.observation.metadata.prompt_label": template.label,
            }
            with self.tracer.start_as_current_span("chat", attributes=attributes):
                text = self.model(messages)
            found = trace.format_trace_id(request.get_span_context().trace_id)
            return {"label": label, "version": template.version, "text": text, "trace": found}
