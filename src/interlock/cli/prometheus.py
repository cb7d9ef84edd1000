"""The user's own Prometheus: flags that say where it is and who asks, and the reader they make."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from interlock.errors import SpecError

if TYPE_CHECKING:
    from interlock.adapters.prometheus import PrometheusMetrics
    from interlock.adapters.prometheus.labels import LabelNames

PATIENCE = 30.0
"""Seconds for one answer: history takes longer than a tick may."""

Address = Annotated[
    str | None,
    typer.Option("--prometheus", envvar="INTERLOCK_PROMETHEUS", help="Base URL of your Prometheus."),
]
BearerTokenFile = Annotated[
    Path | None,
    typer.Option(
        "--prometheus-bearer-token-file",
        envvar="INTERLOCK_PROMETHEUS_BEARER_TOKEN_FILE",
        help="File of a token.",
    ),
]
Username = Annotated[
    str,
    typer.Option("--prometheus-username", envvar="INTERLOCK_PROMETHEUS_USERNAME", help="Of basic auth."),
]
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        "--prometheus-password-file",
        envvar="INTERLOCK_PROMETHEUS_PASSWORD_FILE",
        help="File of the password.",
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option(
        "--prometheus-ca-file",
        envvar="INTERLOCK_PROMETHEUS_CA_FILE",
        help="PEM file of the only authorities to believe.",
    ),
]
CertificateFile = Annotated[
    Path | None,
    typer.Option(
        "--prometheus-certificate-file",
        envvar="INTERLOCK_PROMETHEUS_CERTIFICATE_FILE",
        help="PEM file of your certificate.",
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--prometheus-key-file", envvar="INTERLOCK_PROMETHEUS_KEY_FILE", help="PEM file of its key."
    ),
]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="NAME=THEIRS", help="What Prometheus calls a label: agent=app."),
]
Headers = Annotated[
    list[str] | None,
    typer.Option("--prometheus-header", help="Like 'X-Scope-OrgID: team-a'. May be repeated."),
]


class PlainHttp(StrEnum):
    """What becomes of credentials that would leave this machine unencrypted."""

    REFUSE = "Refuse"
    WARN = "Warn"
    ACCEPT = "Accept"


Plain = Annotated[
    PlainHttp,
    typer.Option(
        "--prometheus-plain-http",
        envvar="INTERLOCK_PROMETHEUS_PLAIN_HTTP",
        help="Whether credentials may go over http:// to another machine.",
    ),
]


@dataclass(frozen=True, slots=True)
class Server:
    """What the flags say; nothing of it is written anywhere."""

    address: str
    bearer_token_file: Path | None = None
    username: str = ""
    password_file: Path | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    headers: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    """`NAME=THEIRS`."""

    def open(self) -> PrometheusMetrics:
        """A reader; close it. Raises SpecError that names the flag."""
        from interlock.adapters.prometheus import PrometheusMetrics
        from interlock.adapters.prometheus.access import Access, header

        if "@" in urlsplit(self.address).netloc:
            text = "use --prometheus-username and --prometheus-password-file"
            raise SpecError(f"--prometheus must not hold a password: {text}")
        if not self.address.startswith(("http://", "https://")):
            raise SpecError(f"--prometheus must be an http:// or https:// address, not {self.address!r}")
        try:
            access = Access(
                self.bearer_token_file,
                self.username,
                self.password_file,
                self.ca_file,
                self.certificate_file,
                self.key_file,
                tuple(header(text) for text in self.headers),
            )
            access.check()
        except SpecError as error:
            raise SpecError(f"--prometheus-…: {error}") from error
        return PrometheusMetrics(self.address, timeout=PATIENCE, access=access, names=self._names())

    def _names(self) -> LabelNames:
        from interlock.adapters.prometheus.labels import LabelNames

        pairs = dict(text.partition("=")[::2] for text in self.labels)
        known = {field.name for field in fields(LabelNames)}
        if wrong := sorted(pairs.keys() - known):
            raise SpecError(f"--label must name one of {', '.join(sorted(known))}, not {', '.join(wrong)}")
        names = LabelNames(**pairs)
        try:
            names.check()
        except SpecError as error:
            raise SpecError(f"--label: {error}") from error
        return names


def server(
    address: str | None,
    bearer_token_file: Path | None,
    username: str,
    password_file: Path | None,
    ca_file: Path | None,
    certificate_file: Path | None,
    key_file: Path | None,
    headers: list[str] | None,
    labels: list[str] | None,
    plain: PlainHttp = PlainHttp.REFUSE,
) -> Server | None:
    """The Prometheus that the flags name, if any.

    Raises SpecError where credentials would go to another machine unencrypted, unless `plain` lets them; to
    be warned of it is told once, on standard error.
    """
    if address is None:
        return None
    _guard(address, bearer_token_file, password_file, plain)
    files = (ca_file, certificate_file, key_file)
    return Server(
        address, bearer_token_file, username, password_file, *files, tuple(headers or ()), tuple(labels or ())
    )


def _guard(address: str, token: Path | None, password: Path | None, plain: PlainHttp) -> None:
    from interlock.adapters.prometheus.access import Access

    access = Access(bearer_token_file=token, password_file=password)
    if plain is PlainHttp.ACCEPT or not access.exposed_at(address):
        return
    where = urlsplit(address).hostname  # not the address: it may hold a password
    told = f"the credentials for Prometheus would go unencrypted over the network to {where}"
    remedy = (
        "use an https:// address, or --prometheus-plain-http=Accept where something else encrypts the way"
    )
    if plain is PlainHttp.REFUSE:
        raise SpecError(f"{told}: {remedy}")
    print(f"Warning: {told.replace('would go', 'go')}: {remedy}", file=sys.stderr)
