"""Container images without Docker: layers are tar files of folders, an image is a docker-archive of layers.

Owners are root and times zero, so that the same content always gives the same image.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import stat
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dev.cluster import cache
from dev.cluster.progress import step

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_WRITER = 2  # to be raised when this module writes the same content differently
_EPOCH = "1970-01-01T00:00:00Z"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Layer:
    """A tar file and the SHA-256 over it, by which container runtimes know it."""

    archive: Path
    digest: str


@dataclass(frozen=True, slots=True)
class Settings:
    """How containers of an image start. ``user`` is ``UID:GID``; empty means root."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    directory: str = "/"
    environment: Mapping[str, str] = field(default_factory=dict)

    def config(self) -> dict[str, Any]:
        """The ``config`` object of the image format."""
        environment = {"PATH": _PATH} | dict(self.environment)
        return {
            "Env": [f"{name}={value}" for name, value in environment.items()],
            "Entrypoint": list(self.entrypoint) or None,
            "Cmd": list(self.command) or None,
            "User": self.user,
            "WorkingDir": self.directory,
        }


def layer(name: str, ingredients: dict[str, Any], fill: Callable[[Path], None]) -> Layer:
    """The layer of the folder that ``fill(empty folder)`` fills, made once for the same ingredients."""

    def make(folder: Path) -> None:
        root = folder / "root"
        root.mkdir(mode=0o755)
        fill(root)
        with step(f"image layer {name}"), _new_tar(folder / "layer.tar") as archive:
            for entry in sorted(root.iterdir()):
                archive.add(entry, arcname=entry.name, filter=_anonymous)
        remove_tree(root)
        with (folder / "layer.tar").open("rb") as content:
            (folder / "digest").write_text(hashlib.file_digest(content, "sha256").hexdigest())

    place = cache.artifact(f"layer-{name}", ingredients | {"writer": _WRITER}, make)
    return Layer(place / "layer.tar", (place / "digest").read_text())


def image(tag: str, layers: Sequence[Layer], settings: Settings) -> Path:
    """The docker-archive of an image named ``tag``, lowest layer first."""

    def make(folder: Path) -> None:
        config = _config(layers, settings)
        config_name = f"{hashlib.sha256(config).hexdigest()}.json"
        names = [f"{one.digest}/layer.tar" for one in layers]
        manifest = [{"Config": config_name, "RepoTags": [tag], "Layers": names}]
        with step(f"image {tag}"), _new_tar(folder / "image.tar") as archive:
            _add(archive, "manifest.json", json.dumps(manifest).encode())
            _add(archive, config_name, config)
            for one, name in zip(layers, names, strict=True):
                archive.add(one.archive, arcname=name, filter=_anonymous)

    ingredients = {"tag": tag, "layers": [one.digest for one in layers], "settings": asdict(settings)}
    name = "image-" + "".join(letter if letter.isalnum() else "-" for letter in tag)
    return cache.artifact(name, ingredients, make) / "image.tar"


def identity(archive: Path) -> tuple[str, str]:
    """Name and content of the image in a docker-archive: its tag and the digest of its configuration."""
    with tarfile.open(archive) as content:
        manifest = content.extractfile("manifest.json")
        assert manifest is not None, f"{archive} is no docker-archive"
        described = json.loads(manifest.read())[0]
    return described["RepoTags"][0], described["Config"].removesuffix(".json")


def remove_tree(folder: Path) -> None:
    """Delete a folder without following links or needing write permission on what is inside."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
    folder.rmdir()


def _config(layers: Sequence[Layer], settings: Settings) -> bytes:
    content = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": _EPOCH,
        "config": settings.config(),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{one.digest}" for one in layers]},
        "history": [{"created": _EPOCH, "created_by": "dev.cluster"} for _ in layers],
    }
    return json.dumps(content, sort_keys=True).encode()


def _new_tar(place: Path) -> tarfile.TarFile:
    return tarfile.open(place, "w", format=tarfile.GNU_FORMAT)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Nobody's file, readable by everybody, whatever umask it was made under: containers run as any user."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    if not entry.mode & stat.S_ISVTX:
        executable = entry.isdir() or entry.mode & stat.S_IXUSR
        entry.mode = entry.mode & ~0o022 | (0o555 if executable else 0o444)
    return entry
