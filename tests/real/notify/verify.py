"""Says of each webhook on standard input whether the library of Standard Webhooks takes it."""

import base64
import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError


def verdict(webhook):
    body = base64.b64decode(webhook["body"])
    try:
        return {"payload": Webhook(webhook["secret"]).verify(body, webhook["headers"])}
    except WebhookVerificationError as refused:
        return {"refused": str(refused)}


json.dump([verdict(webhook) for webhook in json.load(sys.stdin)], sys.stdout)
