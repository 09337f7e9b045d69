"""What a source's refusal means, in words that help whoever pulls."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from data_sync.core import canonical
from data_sync.core.errors import DataSyncError, MalformedStream, SourceUnavailable, WrongFile

from .failures import Stage

if TYPE_CHECKING:
    from .answer import Answer

_MAX_EXPLANATION = 16 * 1024


class SourceFailed(SourceUnavailable):
    """`stage` is how far the request came: "address", "connect", "tls", "key" or "answer"."""

    def __init__(self, message: str, stage: Stage) -> None:
        super().__init__(message)
        self.stage = stage


def refusal(source: str, what: str, answer: Answer) -> DataSyncError:
    """The error for a request for `what`, below data_sync/, that was answered with another status than 200."""
    status = answer.status
    told = _explanation(answer)
    said = f" It says: “{told}”" if told else ""

    def failed(stage: Stage, predicate: str) -> SourceFailed:
        return SourceFailed(f"{source} {predicate}", stage)

    match status:
        case 400 if told:
            return failed("answer", f"does not take what was asked of it (400).{said} Are both sides of one version?")
        case 401:
            return failed(
                "key",
                "refused the export key (401). It may be expired, revoked or mistyped: make a new one "
                "there, under Export keys or by manage.py data_sync key create, and store it with this source.",
            )
        case 403:
            return failed(
                "key",
                f"does not let this key read what was asked for (403).{said} "
                "Ask for fewer models, or for a key with those models there.",
            )
        case 404 if told and what.startswith("files/"):
            return WrongFile(f"{source} does not have a file any more (404).{said} Pull again.")
        case 404 if told:
            return failed("answer", f"does not know what was asked for (404).{said}")
        case 404:
            return failed(
                "answer",
                "has no data_sync under this URL (404). Does the project there include data_sync.urls "
                "under exactly this prefix?",
            )
        case 413:
            return failed(
                "answer",
                f"takes no request of this length (413).{said} A server before it may be set to take less than "
                "500 kB: raise that limit.",
            )
        case 409:
            return failed("answer", f"could not express its rows (409).{said} Mend it there, then pull again.")
        case 429 | 503:
            wait = answer.headers.get("Retry-After", "")
            when = f"in {wait} seconds" if wait.isdecimal() and len(wait) < 6 else "later"
            return failed("answer", f"is too busy or not in service ({status}).{said} Pull again {when}.")
        case _ if 300 <= status < 400:
            place = _place(answer.without_secrets(answer.headers.get("Location", "")))
            if "login" in place.lower():
                return failed(
                    "answer",
                    f"redirects to {place} ({status}): this leads to a log-in page. The URL is the prefix that "
                    "data_sync.urls is included under, and no log-in may stand before it.",
                )
            return failed(
                "answer",
                f"redirects to {place} ({status}), and redirects are not followed, as the key would go "
                "along. If that place is right, make it the source's URL.",
            )
        case _ if status >= 500:
            return failed("answer", f"failed ({status}).{said} Its own log says why.")
        case _:
            return failed("answer", f"answered with status {status}, which data_sync does not send.{said}")


def _explanation(answer: Answer) -> str:
    """The sentence in an error of data_sync's own, fit to be quoted; "" for any other body."""
    try:
        document = canonical.loads(answer.start(_MAX_EXPLANATION).decode())
    except (MalformedStream, UnicodeDecodeError):
        return ""
    sentence = document.get("error") if isinstance(document, dict) else None
    return _quotable(answer.without_secrets(sentence), 500) if isinstance(sentence, str) else ""


def _quotable(text: str, length: int) -> str:
    """Another's words on one line: no control or direction characters, and no more than `length`."""
    text = "".join(character if character.isprintable() else " " for character in text)
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"


def _place(location: str) -> str:
    """Where a redirect leads, without what may be secret in it."""
    try:
        parts = urlsplit(location)
        place = f"{parts.scheme}://{parts.hostname}{parts.path}" if parts.hostname else parts.path
    except ValueError:
        place = ""
    return _quotable(place, 200) or "an unnamed place"
