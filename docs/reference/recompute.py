"""Recomputes what an exported changeset states of itself: python3 recompute.py changeset-42.json

Needs nothing but Python. Exit code 0: all agrees; 1: it names what does not.
"""

import hashlib
import json
import sys

SEALED = """number model operation natural_key previous_key before after diff files carried before_digest
after_digest requires cascades problems warnings base base_digest conflict left_scope""".split()
AT_TIMES = ("leaves", "redacted", "restores", "undoes")
DECIDED = "number decision kept_fields acknowledged_digest rename_choice".split()


def text(value):
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def sha256(*parts):
    return "sha256:" + hashlib.sha256("".join(parts).encode()).hexdigest()


def record_digest(change, side):
    files = {
        name: sides[side] and {"checksum": sides[side]["checksum"], "size": sides[side]["size"]}
        for name, sides in change["files"].items()
    }
    renamed = side == "before" and change["previous_key"] is not None
    key = change["previous_key" if renamed else "natural_key"]
    leaf = [change["leaves"][side]] if "redacted" in change else []
    return sha256(text([change["model"], key, change[side], files, *leaf]))


def content_digest(change):
    names = SEALED + [name for name in AT_TIMES if name in change]
    return sha256(text({name: change[name] for name in names}))


def proof_faults(raw, proof):
    before, _, end = raw.rpartition(b',"proof":')
    digest = "sha256:" + hashlib.sha256(before).hexdigest()
    if sha256(text([digest, proof["key"], proof["mac"]])) != proof["digest"] or end != f"{text(proof)}}}\n".encode():
        yield "proof"


def faults(document):
    stated, changes, previous = document["changeset"], document["changes"], ""
    for change in changes:
        if "purged" in change:
            continue  # Its digests stand for what is gone.
        for side in ("before", "after"):
            digest = "" if change[side] is None else record_digest(change, side)
            if digest != change[f"{side}_digest"]:
                yield f"change {change['number']}: {side}_digest"
        if content_digest(change) != change["content_digest"]:
            yield f"change {change['number']}: content_digest"
    seal = sha256("data-sync content 2\n", *(change["content_digest"] + "\n" for change in changes))
    if seal != stated["seal"] or seal != document["events"][0]["detail"]["content_seal"]:
        yield "content seal"
    decisions = (text([change[name] for name in DECIDED]) + "\n" for change in changes)
    approval = sha256("data-sync approval 2\n", seal, "\n", *decisions)
    if stated["approval_seal"] and approval != stated["approval_seal"]:
        yield "approval seal"
    for number, event in enumerate(document["events"], start=1):
        content = {name: event[name] for name in ("number", "at", "actor", "action", "detail")}
        digest = sha256(text([previous, content]))
        if (event["number"], event["previous"], event["hash"]) != (number, previous, digest):
            yield f"event {number}"
        previous = event["hash"]
    if stated["chain"] != {"length": len(document["events"]), "head": previous}:
        yield "chain"


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        raw = file.read()
    document = json.loads(raw)
    found = [*faults(document), *proof_faults(raw, document["proof"])]
    print("\n".join(f"differs: {what}" for what in found) or "everything agrees")
    sys.exit(1 if found else 0)
