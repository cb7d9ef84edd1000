"""How the operator proves to Prometheus who it is: credentials come from files, and are never logged.

Files are read anew for every query: tokens and certificates are renewed under our feet.
"""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from interlock.errors import SpecError

OURS = frozenset(
    {"accept", "accept-encoding", "authorization", "connection", "content-length", "content-type",
     "cookie", "host", "proxy-authorization", "transfer-encoding"}
)  # fmt: skip
"""Headers that are not for settings: those we set, and those that carry secrets."""
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_VISIBLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")


@dataclass(frozen=True, slots=True)
class Access:
    """What is sent with each query, and whom it is sent to. Nothing of it: anybody may read Prometheus."""

    bearer_token_file: Path | None = None
    username: str = ""
    password_file: Path | None = None
    ca_file: Path | None = None
    """PEM. Only these authorities are believed; without it those of the system."""
    certificate_file: Path | None = None
    """PEM, of the client."""
    key_file: Path | None = None
    headers: tuple[tuple[str, str], ...] = ()
    """Such as a tenant id; no secrets."""

    def headers_now(self) -> dict[str, str]:
        """All headers of a query. SpecError, without any secret, where a file cannot be used."""
        found = dict(self.headers)
        if self.bearer_token_file is not None:
            found["Authorization"] = f"Bearer {_secret(self.bearer_token_file)}"
        elif self.password_file is not None:
            pair = f"{self.username}:{_secret(self.password_file)}"
            found["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return found

    def context(self) -> ssl.SSLContext:
        """Whom we believe to be Prometheus, and our own certificate; SpecError for a file of no use."""
        context = ssl.create_default_context()
        if self.ca_file is not None:
            path = self.ca_file
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            _load(path, "certificates", lambda: context.load_verify_locations(path))
        if self.certificate_file is not None and self.key_file is not None:
            chain, key = self.certificate_file, self.key_file
            what = f"a certificate with the key in {key}"
            _load(chain, what, lambda: context.load_cert_chain(chain, key))
        return context

    def stamp(self) -> tuple[object, ...]:
        """Something else as soon as a file of the TLS context is another."""
        files = (self.ca_file, self.certificate_file, self.key_file)
        return tuple(_state(path) for path in files if path is not None)

    def exposed_at(self, address: str) -> bool:
        """Whether a token or a password would leave this machine unencrypted for `address`, a URL."""
        proves = self.bearer_token_file is not None or self.password_file is not None
        where = urlsplit(address)
        return proves and where.scheme == "http" and not _is_loopback(where.hostname or "")

    def check(self) -> None:
        """SpecError where a file or a header cannot be used now."""
        if ":" in self.username:
            raise SpecError("the user name must not contain a colon")
        for name, value in self.headers:
            _check_header(name, value)
        self.headers_now()
        self.context()


def header(text: str) -> tuple[str, str]:
    """`Name: value`, taken apart; SpecError where it is none that may be set."""
    name, colon, value = text.partition(":")
    if not colon:
        raise SpecError(f"a header must be like 'X-Scope-OrgID: team-a', not {text!r}")
    found = name.strip(), value.strip()
    _check_header(*found)
    return found


def _check_header(name: str, value: str) -> None:
    if not _TOKEN.fullmatch(name):
        raise SpecError(f"a header must be like 'X-Scope-OrgID: team-a'; {name!r} is no name of a header")
    if name.lower() in OURS:
        raise SpecError(f"header {name} must not be set: credentials come from files, the rest from us")
    if not _VISIBLE.fullmatch(value):
        raise SpecError(f"the value of header {name} must be visible ASCII characters")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")  # RFC 6761, 6.3


def _secret(path: Path) -> str:
    """The one line of a file. What is wrong with it is told without it."""
    try:
        found = path.read_bytes()
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror}") from error
    try:
        text = found.decode().strip()
    except UnicodeDecodeError:
        text = ""
    if not _VISIBLE.fullmatch(text):
        raise SpecError(f"{path} must hold one line of visible ASCII characters")
    return text


def _load(path: Path, what: str, load: Callable[[], None]) -> None:
    try:
        load()
    except ssl.SSLError as error:
        raise SpecError(f"{path} must hold {what} in PEM: {error.reason or error}") from error
    except OSError as error:
        raise SpecError(f"{path} or its key cannot be read: {error.strerror}") from error


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
