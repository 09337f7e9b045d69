"""What goes with each request to say who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import requests


class Identity:
    """An export key, a Google ID token for an audience, or both. Shows neither: `repr` names the audience.

    Cloud Run looks for its token in `X-Serverless-Authorization` and IAP in `Proxy-Authorization`, so that the key has
    `Authorization` to itself. Where there is no key, the token is there, too: a source may accept the account itself.
    """

    __slots__ = ("_key", "_token", "audience")

    def __init__(self, key: str, audience: str = "") -> None:
        self._key = key
        self._token = ""
        self.audience = audience

    def __repr__(self) -> str:
        return f"Identity(audience={self.audience!r})"

    def prepare(self, seconds: float) -> None:
        """Gets a token, where one is needed, within so many seconds. Raises `Failed`."""
        if self.audience:
            from . import google_tokens

            self._token = google_tokens.token(self.audience, seconds)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Adds the headers, as requests asks of an `auth`."""
        request.headers["Authorization"] = f"Bearer {self._key or self._token}"
        if self._token:
            request.headers["Proxy-Authorization"] = f"Bearer {self._token}"
            request.headers["X-Serverless-Authorization"] = f"Bearer {self._token}"
        return request
