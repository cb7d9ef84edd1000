"""Keys and certificates of a throw-away cluster, made by the openssl command.

Elliptic keys throughout: making nine of them takes less time than one RSA key.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dev.cluster.errors import ClusterError

_ELLIPTIC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_DAYS = "365"


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority whose files are ``<name>.crt`` and ``<name>.key`` in ``folder``."""

    folder: Path
    name: str = "ca"

    @property
    def certificate(self) -> Path:
        """What clients trust."""
        return self.folder / f"{self.name}.crt"

    @property
    def key(self) -> Path:
        """What signs."""
        return self.folder / f"{self.name}.key"

    def create(self) -> None:
        """Make the authority's own key and certificate."""
        usage = (
            "basicConstraints=critical,CA:TRUE",
            "keyUsage=critical,keyCertSign,cRLSign,digitalSignature",
        )
        _certificate(self.folder, self.name, f"/CN=interlock-{self.name}", usage)

    def issue(self, name: str, subject: str, addresses: tuple[str, ...] = ()) -> None:
        """Sign a certificate for client and server use.

        ``subject`` is in openssl's form, ``/O=group/CN=user``; ``addresses`` are
        alternative names such as ``IP:127.0.0.1`` and ``DNS:localhost``.
        """
        extensions = ["basicConstraints=critical,CA:FALSE", "extendedKeyUsage=clientAuth,serverAuth"]
        if addresses:
            extensions.append(f"subjectAltName={','.join(addresses)}")
        signer = ("-CA", str(self.certificate), "-CAkey", str(self.key))
        _certificate(self.folder, name, subject, tuple(extensions), signer)


def signing_key(folder: Path, name: str = "sa") -> None:
    """A key pair ``<name>.key`` and ``<name>.pub`` for the API server to sign service-account tokens with."""
    private = folder / f"{name}.key"
    elliptic = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    _openssl(folder, "genpkey", *elliptic, "-out", str(private))
    private.chmod(0o600)
    _openssl(folder, "pkey", "-in", str(private), "-pubout", "-out", str(folder / f"{name}.pub"))


def _certificate(
    folder: Path, name: str, subject: str, extensions: tuple[str, ...], signer: tuple[str, ...] = ()
) -> None:
    added = [word for extension in extensions for word in ("-addext", extension)]
    files = ("-keyout", f"{name}.key", "-out", f"{name}.crt")
    _openssl(
        folder,
        "req",
        "-x509",
        *_config(folder),
        *_ELLIPTIC,
        *signer,
        *files,
        "-days",
        _DAYS,
        "-subj",
        subject,
        *added,
    )
    (folder / f"{name}.key").chmod(0o600)


def _config(folder: Path) -> tuple[str, str]:
    # openssl's own default configuration would add extensions that contradict ours.
    config = folder / "openssl.cnf"
    config.write_text("[req]\ndistinguished_name = name\n[name]\n")
    return ("-config", str(config))


def _openssl(folder: Path, *arguments: str) -> None:
    command = shutil.which("openssl")
    if not command:
        raise ClusterError(
            "The openssl command (3.0 or later) is needed to make certificates: install openssl"
        )
    done = subprocess.run([command, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")
