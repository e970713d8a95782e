"""Whether labels stand where the journals say: the registry's, and each rollout's own."""

import scene


def contradiction(client, name):
    """The first thing that does not agree, of the policy and the prompt of this name."""
    prompts = scene.pages(client, "/v1/prompts", "prompts", "after")
    labels = next(prompt["labels"] for prompt in prompts if prompt["name"] == name)
    changes = scene.pages(client, f"/v1/prompts/{scene.segment(name)}/history", "changes", "before")
    changes.sort(key=lambda change: change["sequence"])
    rollouts = scene.pages(client, "/v1/rollouts", "rollouts", "before")
    rollouts = [rollout for rollout in rollouts if rollout["policy"] == name]
    return (
        of_labels(labels, changes)
        or of_moves(client, changes, rollouts)
        or next(filter(None, (of_history(client, rollout) for rollout in rollouts)), None)
        or of_phase(labels, rollouts[0] if rollouts else None)
    )


def of_labels(labels, changes):
    """The journal, played from its beginning, ends with the labels as they are."""
    played = {}
    for change in changes:
        label = change["label"]
        if change["from"] != played.get(label):
            return f"change {change['sequence']} of `{label}` says it was at {change['from']}, not {played.get(label)}"
        played[label] = change["to"]
    played = {label: version for label, version in played.items() if version is not None}
    return None if played == labels else f"the labels are {labels}, the journal says {played}"


def of_moves(client, changes, rollouts):
    """Each change on behalf of a rollout is in that rollout's history, and was made once."""
    made = [(change["rollout"], change["label"], change["to"]) for change in changes if change["rollout"]]
    twice = {move for move in made if made.count(move) > 1}
    if twice:
        return f"made twice: {sorted(twice)}"
    confirmed = set()
    for rollout in rollouts:
        for record in history(client, rollout["id"]):
            event = record["event"]
            if event["code"] == "label_move" and event["outcome"]["code"] == "confirmed":
                confirmed.add((rollout["id"], event["label"], event["to"]))
    missing = set(made) - confirmed
    return f"not in any rollout's history: {sorted(missing)}" if missing else None


def history(client, rollout):
    return scene.pages(client, f"/v1/rollouts/{rollout}/audit", "records", "after")


def of_history(client, rollout):
    """Each transition follows the one before, and the last one is where the rollout stands."""
    moves = [record["event"] for record in history(client, rollout["id"]) if record["event"]["code"] == "moved"]
    for before, after in zip(moves, moves[1:]):
        if before["to"] != after["from"] or before["generation"] + 1 != after["generation"]:
            return f"{rollout['id']} went from {before['to']['text']} to {after['from']['text']} without a reason"
    current = client.get(f"/v1/rollouts/{rollout['id']}")
    if moves and (moves[-1]["generation"], moves[-1]["to"]["code"]) != (
        current["generation"],
        current["phase"]["code"],
    ):
        return f"{rollout['id']} is {current['phase']['text']}, its history ends with {moves[-1]['to']['text']}"
    return None


def of_phase(labels, rollout):
    """The labels stand as the phase of the last rollout says, once its moves are done."""
    if rollout is None:
        return None
    stable, candidate = rollout["stable"], rollout["candidate"]
    expected = {
        "pending": (stable, candidate),
        "ramping": (stable, candidate),
        "paused": None,
        "promoting": (candidate, candidate),
        "watching": (candidate, candidate),
        "promoted": (candidate, candidate),
        "rolling_back": (stable, stable),
        "rolled_back": (stable, stable),
        "superseded": None,
    }[rollout["phase"]["code"]]
    found = (labels.get("production"), labels.get("canary"))
    # A candidate that was published after the rollout ended waits for the controller's next look.
    over = rollout["phase"]["code"] in ("promoted", "rolled_back")
    if expected is None or found == expected or (over and found[0] == expected[0] and found[1] > candidate):
        return None
    return f"{rollout['id']} is {rollout['phase']['code']}, and production and canary are at {found}"
