"""A registry of prompts over Langfuse's SDK, with a Redis under all processes, as articles show it.

Prompts are kept in Redis for five minutes under `prompt:{name}:{label}`. Users are split between the control
and the treatment label by a stable hash; each call says which version and variant it used.
"""

import hashlib
import json

import redis

CONTROL, TREATMENT = "production", "canary"


class PromptRegistry:
    TTL_SECONDS = 300

    def __init__(self, langfuse, cache):
        self.langfuse = langfuse
        self.cache = cache

    def get(self, name, label):
        """The prompt, and where it was found."""
        key = f"prompt:{name}:{label}"
        try:
            kept = self.cache.get(key)
        except redis.RedisError:
            return self.fetch(name, label), "registry"
        if kept is not None:
            return json.loads(kept), "redis"
        prompt = self.fetch(name, label)
        try:
            self.cache.set(key, json.dumps(prompt), ex=self.TTL_SECONDS)
        except redis.RedisError:
            pass
        return prompt, "registry"

    def fetch(self, name, label):
        # The SDK's own cache would add its minute to that of Redis.
        prompt = self.langfuse.get_prompt(name, label=label, cache_ttl_seconds=0)
        return {"name": prompt.name, "version": prompt.version, "prompt": prompt.prompt, "config": prompt.config}

    def split(self, name, user, percent):
        """The prompt for a user, `percent` of whom get the treatment, and the attributes of the span."""
        digest = hashlib.sha256(f"{name}:{user}".encode()).digest()
        is_treated = int.from_bytes(digest[:8], "big") % 10_000 < percent * 100
        prompt, _ = self.get(name, TREATMENT if is_treated else CONTROL)
        return prompt, {
            "prompt.name": name,
            "prompt.version": str(prompt["version"]),
            "prompt.variant": "treatment" if is_treated else "control",
        }

    def create(self, name, text, labels, message):
        """The number of the new version; numbers are the registry's to give."""
        return self.langfuse.create_prompt(name=name, prompt=text, labels=labels, commit_message=message).version

    def roll_back(self, name, label, version):
        """Points a label back at a known version; its key is left to expire, or to whoever clears it."""
        self.langfuse.update_prompt(name=name, version=version, new_labels=[label])
