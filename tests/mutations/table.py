"""The guards of RELIABILITY, and what misses each of them. A guard that is new here is switched off once at least."""

from __future__ import annotations

from .mutation import Mutation

CALLERS = (
    Mutation(
        guard="1 an export key's secret is compared",
        path="data_sync/services/callers.py",
        on="if key is None or not matches or keys.state_of(key)",
        off="if key is None or keys.state_of(key)",
        tests=("tests/services/test_keys.py",),
    ),
    Mutation(
        guard="1 a revoked or expired key is refused",
        path="data_sync/services/callers.py",
        on=" or keys.state_of(key) in (keys.KeyState.REVOKED, keys.KeyState.EXPIRED):",
        off=":",
        tests=("tests/services/test_keys.py",),
    ),
    Mutation(
        guard="1 a key reads its own models only",
        path="data_sync/services/callers.py",
        on="labels=labels & frozenset(key.model_labels) if key.model_labels else labels,",
        off="labels=labels,",
        tests=("tests/services/test_keys.py", "tests/test_export_callers.py"),
    ),
    Mutation(
        guard="1 a short DATA_SYNC_EXPORT_TOKEN is refused",
        path="data_sync/services/callers.py",
        on="if len(token) < TOKEN_LENGTH:",
        off="if not token:",
        tests=("tests/services/test_keys.py",),
    ),
    Mutation(
        guard="1 an account reads its own models only",
        path="data_sync/services/callers.py",
        on="labels=labels if scope is None else labels & scope,",
        off="labels=labels,",
        tests=("tests/test_export_callers.py",),
    ),
    Mutation(
        guard="1 refusals of one address are limited",
        path="data_sync/services/callers.py",
        on="        rate_limit.note_refused(address)\n",
        off="        pass\n",
        tests=("tests/test_export_callers.py",),
    ),
    Mutation(
        guard="1 strangers fill no cache",
        path="data_sync/services/rate_limit.py",
        on=".digest()[0] % BUCKETS",
        off=".hexdigest()",
        tests=("tests/test_export_callers.py",),
    ),
    Mutation(
        guard="1 only trusted proxies are believed who sends a request",
        path="data_sync/services/rate_limit.py",
        on="passed[-proxies] if 0 < proxies <= len(passed) else remote",
        off="passed[0] if passed else remote",
        tests=("tests/test_export_callers.py",),
    ),
    Mutation(
        guard="2 the e-mail of a token has been verified by Google",
        path="data_sync/services/google_tokens.py",
        on='and claims.get("email_verified") is True',
        off="",
        tests=("tests/tasks/test_tokens.py",),
    ),
    Mutation(
        guard="2 a token is of an account that is named",
        path="data_sync/services/google_tokens.py",
        on="if not email or email not in emails:",
        off="if not email:",
        tests=("tests/tasks/test_tokens.py", "tests/test_export_callers.py"),
    ),
    Mutation(
        guard="2 without an audience no token is taken",
        path="data_sync/services/google_tokens.py",
        on="if not audience or not is_token(text):",
        off="if not is_token(text):",
        tests=("tests/tasks/test_tokens.py", "tests/test_export_callers.py"),
    ),
    Mutation(
        guard="3 records are of models that the caller may read",
        path="data_sync/services/asked.py",
        on="    if label not in labels:\n        raise NotPermitted",
        off="    if False:\n        raise NotPermitted",
        tests=("tests/test_views.py", "tests/test_export_callers.py"),
    ),
)

READING = (
    Mutation(
        guard="4 an address that is not public is refused",
        path="data_sync/sources/addresses.py",
        on="        if not is_public(address):\n",
        off="        if False:\n",
        tests=("tests/sources/test_addresses.py",),
    ),
    Mutation(
        guard="4 no name leads to where clouds hand out credentials",
        path="data_sync/sources/addresses.py",
        on="        if leads_to_metadata(address, networks):\n",
        off="        if False:\n",
        tests=("tests/sources/test_addresses.py",),
    ),
    Mutation(
        guard="4 tunnels and reserved networks are not public",
        path="data_sync/sources/addresses.py",
        on=" and not (address.is_multicast or address.is_reserved or is_special)",
        off="",
        tests=("tests/sources/test_addresses.py",),
    ),
    Mutation(
        guard="4 the connection goes to the address that was checked",
        path="data_sync/sources/transport.py",
        on="self._url.at(address) + path,",
        off="str(self._url) + path,",
        tests=("tests/sources/test_ssrf.py", "tests/sources/test_http.py"),
    ),
    Mutation(
        guard="4 redirects are not followed",
        path="data_sync/sources/transport.py",
        on="    def get_redirect_target(self, resp: requests.Response) -> None:\n",
        off="    def _redirect_target(self, resp: requests.Response) -> None:\n",
        tests=("tests/sources/test_http.py", "tests/sources/test_bombs.py"),
    ),
    Mutation(
        guard="4 plain http is for hosts that are named",
        path="data_sync/sources/addresses.py",
        on='if scheme == "http" and not may_be_plain(host):',
        off="if False:",
        tests=("tests/sources/test_addresses.py",),
    ),
    Mutation(
        guard="5 an answer's bytes are counted",
        path="data_sync/sources/answer.py",
        on="if size > self._limit:",
        off="if False:",
        tests=("tests/sources/test_http.py",),
    ),
    Mutation(
        guard="5 what inflates is inflated a block at a time",
        path="data_sync/sources/answer.py",
        on="inflate.decompress(block, BLOCK)",
        off="inflate.decompress(block)",
        tests=("tests/sources/test_http.py",),
    ),
    Mutation(
        guard="5 the files of a pull are bounded together",
        path="data_sync/services/pulling.py",
        on="        if total > most:\n",
        off="        if False:\n",
        tests=("tests/services/test_files.py",),
    ),
    Mutation(
        guard="6 a member that occurs twice is refused",
        path="data_sync/core/canonical.py",
        on="if len(members) != len(pairs):",
        off="if False:",
        tests=("tests/core/test_canonical.py",),
    ),
    Mutation(
        guard="6 half a surrogate pair is refused",
        path="data_sync/core/canonical.py",
        on='if ("\\\\ud" in text or "\\\\uD" in text) and _SURROGATE.search(dumps(value)):',
        off="if False:",
        tests=("tests/core/test_canonical.py",),
    ),
    Mutation(
        guard="6 numbers beyond a double are refused",
        path="data_sync/core/canonical.py",
        on='if value in (float("inf"), float("-inf")):',
        off="if False:",
        tests=("tests/core/test_canonical.py",),
    ),
    Mutation(
        guard="10 a file arrives as it was promised",
        path="data_sync/orm/staging.py",
        on='if size != file.size or f"sha256:{sha.hexdigest()}" != file.checksum:',
        off="if False:",
        tests=("tests/services/test_files.py", "tests/orm/test_files.py"),
    ),
    Mutation(
        guard="10 a fetched file is what it was before it is promoted",
        path="data_sync/orm/staging.py",
        on='altered = f"sha256:{checksum}" != file.checksum or size != file.size',
        off="altered = False",
        tests=("tests/services/test_files.py", "tests/orm/test_files.py"),
    ),
    Mutation(
        guard="17 without its closing line an answer is not whole",
        path="data_sync/core/wire.py",
        on="        if not closed:\n",
        off="        if False:\n",
        tests=("tests/core/test_wire.py",),
    ),
    Mutation(
        guard="17 the closing digest is over everything before it",
        path="data_sync/core/wire.py",
        on='if closing.get("digest") != digest:',
        off="if False:",
        tests=("tests/core/test_wire.py",),
    ),
)

DELETING = (
    Mutation(
        guard="16 an empty side blocks",
        path="data_sync/services/guards.py",
        on="if rows.deletes and not rows.there:",
        off="if False:",
        tests=("tests/services/test_guards.py",),
    ),
    Mutation(
        guard="16 a share of deletes blocks",
        path="data_sync/services/guards.py",
        on="elif rows.deletes * 100 > limit.percent * rows.here:",
        off="elif False:",
        tests=("tests/services/test_guards.py",),
    ),
    Mutation(
        guard="16 a number of deletes blocks",
        path="data_sync/services/guards.py",
        on="if rows.deletes > limit.rows:",
        off="if False:",
        tests=("tests/services/test_guards.py",),
    ),
    Mutation(
        guard="16 a cascade into rows that the source says nothing of blocks",
        path="data_sync/services/guards.py",
        on="    if rows.along:\n",
        off="    if False:\n",
        tests=("tests/services/test_guards.py",),
    ),
    Mutation(
        guard="16 an override needs its permission",
        path="data_sync/services/approval.py",
        on='actor.require("data_sync.override_changeset_guard")',
        off="pass",
        tests=("tests/services/test_guards.py",),
    ),
    Mutation(
        guard="19 what deletes take along is computed once more",
        path="data_sync/services/execution.py",
        on='return reaches, {entry.number: f"{entry.name}: {more}" for entry, more in told.items() if more}',
        off="return reaches, {}",
        tests=("tests/services/test_deletions.py", "tests/services/test_apply.py"),
    ),
)

PEOPLE = (
    Mutation(
        guard="13 deciding needs its permission",
        path="data_sync/services/review.py",
        on='actor.require("data_sync.approve_changeset")',
        off="pass",
        tests=("tests/services/test_review.py", "tests/services/test_permissions.py"),
    ),
    Mutation(
        guard="13 an apply needs the permissions of its models",
        path="data_sync/services/authority.py",
        on="    for permission in sorted(set(_permissions(changeset))):\n        actor.require(permission)\n",
        off="",
        tests=("tests/services/test_authority.py", "tests/services/test_apply.py"),
    ),
    Mutation(
        guard="13 four eyes",
        path="data_sync/services/approval.py",
        on="    if needs_others(changeset, actor):\n",
        off="    if False:\n",
        tests=("tests/services/test_four_eyes.py",),
    ),
    Mutation(
        guard="15 an approval is of the revision that was seen",
        path="data_sync/services/revision.py",
        on="expected = open_ones if revision is None else open_ones.filter(revision=revision)",
        off="expected = open_ones",
        tests=("tests/services/test_review.py",),
    ),
    Mutation(
        guard="15 a later decision voids an approval",
        path="data_sync/services/revision.py",
        on=").update(state=ChangesetState.PENDING.value, **VOID)",
        off=").update()",
        tests=("tests/services/test_expiry.py",),
    ),
    Mutation(
        guard="15 a row that was touched since is stale",
        path="data_sync/services/staleness.py",
        on="            elif as_seen != entry.seen_digest:\n",
        off="            elif False:\n",
        tests=("tests/services/test_apply.py",),
    ),
    *(
        Mutation(guard=f"a form is answered with 409 where {what} meanwhile", path=path, on=on, off="", tests=(test,))
        for what, path, on, test in (
            (
                "the source it trusts has become another",
                "data_sync/services/trust.py",
                "        refuse_other(seen, identity_of(row))\n",
                "tests/admin/test_trusting.py",
            ),
            (
                "the source was changed",
                "data_sync/services/sources.py",
                "        refuse_other(seen, identity_of(stored))\n",
                "tests/admin/test_pulls_and_sources.py",
            ),
            (
                "the limits were changed",
                "data_sync/services/limits.py",
                "        refuse_other(seen, limits_digest(before))\n",
                "tests/admin/test_guards.py",
            ),
        )
    ),
    Mutation(
        guard="16 a limit of deletes is raised by whoever may override guards alone",
        path="data_sync/services/limits.py",
        on="        if is_looser(_counting(before), _counting(after)):\n",
        off="        if False:\n",
        tests=("tests/services/test_guards.py",),
    ),
    Mutation(
        guard="11 a variable that holds one host's key is not put on another by a person",
        path="data_sync/services/source_identity.py",
        on="if origins and _origin(url) not in origins:",
        off="if False:",
        tests=("tests/services/test_sources.py",),
    ),
    Mutation(
        guard="11 a variable that a source has had is known by its events",
        path="data_sync/services/source_identity.py",
        on='if one and one.get("key") == reference)',
        off="if False)",
        tests=("tests/services/test_sources.py",),
    ),
    Mutation(
        guard="11 a model redacts whether it is compared or not",
        path="data_sync/orm/redacted.py",
        on="return frozenset(registered | {",
        off="return frozenset({",
        tests=("tests/orm/test_redacted.py", "tests/services/test_redaction.py"),
    ),
    Mutation(
        guard="11 the str() of a row that leads to a redacting one over several steps is not shown",
        path="data_sync/orm/redacted.py",
        on="        waiting += further\n",
        off="",
        tests=("tests/orm/test_redacted.py", "tests/services/test_redaction.py"),
    ),
    Mutation(
        guard="22 an approval is of the changes that were pulled",
        path="data_sync/services/approval.py",
        on="if current_content_seal(changeset) != changeset.content_seal:",
        off="if False:",
        tests=("tests/services/test_apply.py", "tests/services/test_review.py", "tests/services/test_redaction.py"),
    ),
)

TRUST = (
    *(
        Mutation(
            guard=f"auto-apply: the rule {name}",
            path="data_sync/services/auto_rules.py",
            on=on,
            off=off,
            tests=("tests/services/test_auto_apply.py",),
        )
        for name, on, off in (
            ("switched off", "    if not facts.is_allowed:\n", "    if False:\n"),
            ("authority", "    if facts.lacks:\n", "    if False:\n"),
            ("four eyes", "    if facts.needs_others:\n", "    if False:\n"),
            ("guards", "    yield from facts.guards\n", "    yield from ()\n"),
            ("model", "if label not in limits.models]", "if False]"),
            ("operation", "and operation not in limits.operations", "and False"),
            ("most changes", "    if total > limits.max_changes:\n", "    if False:\n"),
            ("most deletes", "and deletes + severed > limits.max_deletes:", "and False:"),
            ("first pull", "    if facts.unagreed:\n", "    if False:\n"),
            ("rejected before", "    if facts.rejected_before:\n", "    if False:\n"),
            ("kept before", "    if facts.kept_before:\n", "    if False:\n"),
            ("links without deletes", "    if facts.severed and Operation", "    if False and Operation"),
            ("most links and deletes", "and deletes + severed > limits", "and deletes > limits"),
        )
    ),
    Mutation(
        guard="auto-apply: a rejected changeset holds all its rows",
        path="data_sync/services/held_rows.py",
        on=" | Q(changeset__state=ChangesetState.REJECTED.value)\n",
        off="\n",
        tests=("tests/services/test_held_rows.py",),
    ),
    Mutation(
        guard="auto-apply: a rename is of both its keys",
        path="data_sync/services/held_rows.py",
        on="    return [(label, digest)] if previous is None else",
        off="    return [(label, digest)] if True else",
        tests=("tests/services/test_held_rows.py",),
    ),
    Mutation(
        guard="auto-apply: what was said of the key before a rename counts",
        path="data_sync/services/held_rows.py",
        on="previous_key__in=list(of_model.values())",
        off="previous_key__in=[]",
        tests=("tests/services/test_held_rows.py",),
    ),
    Mutation(
        guard="auto-apply: only somebody ends what somebody said",
        path="data_sync/services/held_rows.py",
        on="_SAID_YES = _BY_SOMEBODY & Q(",
        off="_SAID_YES = Q(",
        tests=("tests/services/test_held_rows.py",),
    ),
    Mutation(
        guard="auto-apply: an objection stands however long ago it was made",
        path="data_sync/services/auto_facts.py",
        on='    earlier = {"pk__lt": changeset.pk}\n',
        off='    earlier = {"pk__lt": changeset.pk, "pk__gt": changeset.pk - 20}\n',
        tests=("tests/services/test_held_rows.py",),
    ),
    Mutation(
        guard="auto-apply: what was agreed on in another shape is no agreement",
        path="data_sync/services/pulling.py",
        on="knows=both.baselines.knows,",
        off="knows=both.baselines.has,",
        tests=("tests/services/test_auto_apply.py",),
    ),
    Mutation(
        guard="auto-apply: what a first pull found waits for a person",
        path="data_sync/services/store.py",
        on="label in unknown or not knows(label)",
        off="not knows(label)",
        tests=("tests/services/test_auto_apply.py",),
    ),
    Mutation(
        guard="auto-apply: links and references that updates take away are counted",
        path="data_sync/services/store.py",
        on="+= severed(comparison.schemas[change.model], change)",
        off="+= 0",
        tests=("tests/services/test_auto_apply.py",),
    ),
    Mutation(
        guard="auto-apply: another URL or key ends trust",
        path="data_sync/services/sources.py",
        on="    if altered:\n",
        off="    if False:\n",
        tests=("tests/services/test_trust.py",),
    ),
    Mutation(
        guard="auto-apply: one attempt",
        path="data_sync/services/auto_apply.py",
        on="            if not due.update(auto_state=AutoApply.LEFT.value):\n                return False\n"
        "            changeset = Changeset",
        off="            changeset = Changeset",
        tests=("tests/services/test_auto_apply.py",),
    ),
)

STANDING = (
    *(
        Mutation(guard=f"auto-apply: {guard}", path=f"data_sync/services/{path}", on=on, off=off, tests=(tests,))
        for guard, path, on, off, tests in (
            (
                "whoever presses Apply, trust is asked for",
                "apply_requests.py",
                'unfounded = "" if expired else auto_standing.take_back(changeset_id)',
                'unfounded = ""',
                "tests/services/test_auto_standing.py",
            ),
            (
                "trust is asked for in the transaction that writes",
                "apply.py",
                "if against := auto_standing.unfounded(changeset):",
                "if against := []:",
                "tests/services/test_auto_standing.py",
            ),
            (
                "trust that was given later is none",
                "auto_standing.py",
                "    if policy.since <= seen_at:\n",
                "    if True:\n",
                "tests/services/test_auto_standing.py",
            ),
            (
                "only what was clicked for, where a click is needed",
                "auto_standing.py",
                "    if not policy.unattended and",
                "    if False and",
                "tests/services/test_auto_standing.py",
            ),
            (
                "the end of trust leaves what is due",
                "trust.py",
                "    _leave_due(source, reason)\n",
                "",
                "tests/services/test_auto_standing.py",
            ),
            (
                "what one person lacks ends the trust of no other",
                "trust.py",
                " or since not in (None, ended.since):",
                ":",
                "tests/services/test_auto_standing.py",
            ),
            (
                "what nobody decided is undecided afterwards",
                "auto_approval.py",
                '        decision=F("decision_before"),\n',
                "",
                "tests/services/test_auto_approval.py",
            ),
            (
                "a killed apply is not begun anew after its approval has expired",
                "apply.py",
                "        refuse_expired(changeset_id, token=token)\n",
                "",
                "tests/services/test_expiry.py",
            ),
            (
                "what fails time after time is left for review",
                "auto_apply.py",
                "if not due.filter(submissions__gt=leases.MAX_LOSSES).exists():",
                "if True:",
                "tests/services/test_auto_apply.py",
            ),
            (
                "four eyes are not one person under another name",
                "approval.py",
                "changeset.actor in (actor.label, actor.user.get_username())",
                "changeset.actor == actor.label",
                "tests/services/test_four_eyes.py",
            ),
        )
    ),
)

UPLOADS = tuple(
    Mutation(guard=f"uploads: {guard}", path=f"data_sync/{path}", on=on, off=off, tests=(tests,))
    for guard, path, on, off, tests in (
        (
            "the list of members is bounded before it is read",
            "sources/archive.py",
            "    if entries > MAX_MEMBERS:\n",
            "    if False:\n",
            "tests/sources/test_bundle.py",
        ),
        (
            "no member has another name than a bundle's",
            "sources/archive.py",
            "            if not is_file_member(name):\n",
            "            if False:\n",
            "tests/sources/test_bundle.py",
        ),
        (
            "members do not overlap",
            "sources/archive.py",
            "if info.header_offset != place or magic",
            "if magic",
            "tests/sources/test_bundle.py",
        ),
        (
            "the closing member is compared with what is there",
            "sources/bundle.py",
            "        refuse_other_closing(said, found)\n",
            "",
            "tests/sources/test_bundle.py",
        ),
        (
            "a file has a limit",
            "services/stored_uploads.py",
            "            if size > most:\n",
            "            if False:\n",
            "tests/services/test_uploads.py",
        ),
        (
            "what was uploaded is what is read",
            "services/stored_uploads.py",
            "    if checksum != pull.upload_checksum:\n",
            "    if False:\n",
            "tests/services/test_uploads.py",
        ),
        (
            "files supersede those of their own name only",
            "services/supersede.py",
            "    if pull.source_id is not None:\n",
            "    if True:\n",
            "tests/services/test_uploads.py",
        ),
        (
            "a sheet takes the place only of what it has looked at",
            "services/supersede.py",
            " and all(map(has_seen, changes))",
            "",
            "tests/services/test_sheet_uploads.py",
        ),
        (
            "a sheet that is to delete rows has all columns",
            "sources/sheet.py",
            "    if has_all:\n",
            "    if False:\n",
            "tests/services/test_sheet_uploads.py",
        ),
        (
            "an upload is removed when its pull is over",
            "services/pull_states.py",
            "    stored_uploads.discard_once_over(pull_id)\n",
            "",
            "tests/services/test_uploads.py",
        ),
    )
)

KEEPING = tuple(
    Mutation(guard=f"keeping: {what}", path=f"data_sync/services/{file}", on=on, off=off, tests=(tests,))
    for what, file, on, off, tests in (
        (
            "a file that another changeset speaks of stays",
            "left_files.py",
            "needed = names & _names_needed() if names else set()",
            "needed: set[str] = set()",
            "tests/services/test_retention.py",
        ),
        (
            "a file that has got the name since stays",
            "left_files.py",
            'if (f"sha256:{checksum}", size) != (before["checksum"], before["size"]):',
            "if False:",
            "tests/services/test_retention.py",
        ),
        (
            "what is open is not purged",
            "retention.py",
            "taken = Changeset.objects.filter(pk=changeset_id, state__in=CLOSED, purged_at=None)",
            "taken = Changeset.objects.filter(pk=changeset_id, purged_at=None)",
            "tests/services/test_retention.py",
        ),
        (
            "what is being reverted is not purged",
            "retention.py",
            "if _is_being_reverted(changeset_id):",
            "if False:",
            "tests/services/test_retention.py",
        ),
        (
            "what is rolled back is not announced",
            "announce.py",
            "transaction.on_commit(partial(_send, event, event.changeset_id), robust=True)",
            "_send(event, event.changeset_id)",
            "tests/services/test_announcing.py",
        ),
        (
            "redacted values are not in a row's history",
            "row_history.py",
            "if name in redacted:",
            "if False:",
            "tests/services/test_row_history.py",
        ),
    )
)

REVERTING = tuple(
    Mutation(
        guard=f"reverts: {what}",
        path=f"data_sync/services/{name}",
        on=on,
        off=off,
        tests=("tests/services/test_revert.py",),
    )
    for what, name, on, off in (
        (
            "what comes back is what the seal says",
            "restoring.py",
            "if not is_intact or told[number].get(place) != row.digest:",
            "if not is_intact:",
        ),
        (
            "what was edited since is a conflict",
            "reverting.py",
            "            if not is_delete_of_part:",
            "            if False:",
        ),
        (
            "one at a time",
            "revert.py",
            "if (running := active.first()) is not None:",
            "if (running := active.none().first()) is not None:",
        ),
        (
            "rows renamed since are not taken for gone",
            "reverting.py",
            "if text not in now and moved.causes and",
            "if False and",
        ),
    )
)

MUTATIONS = (*CALLERS, *READING, *DELETING, *PEOPLE, *TRUST, *STANDING, *UPLOADS, *KEEPING, *REVERTING)
