"""The user's cache folder: artifacts that are made once and kept under a name that says what went into them.

An artifact is complete or absent, never half made: it is written beside its
place and renamed. Two runs that want the same one wait for each other.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def cache_root() -> Path:
    """Where artifacts are kept: ``$XDG_CACHE_HOME/interlock``, else ``~/.cache/interlock``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "interlock"


def content_key(ingredients: dict[str, Any]) -> str:
    """Sixteen hex digits that change whenever an ingredient does (anything JSON can hold)."""
    canonical = json.dumps(ingredients, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def digest_files(*paths: Path) -> str:
    """SHA-256 over the names and contents of files and of everything below folders."""
    total = hashlib.sha256()
    for path in paths:
        members = _sources(path) if path.is_dir() else [path]
        for member in members:
            content = hashlib.sha256(member.read_bytes()).hexdigest()
            total.update(f"{member.relative_to(path.parent)}\0{content}\n".encode())
    return total.hexdigest()


def _sources(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def artifact(name: str, ingredients: dict[str, Any], make: Callable[[Path], None]) -> Path:
    """The folder of the artifact with these ingredients; ``make(empty folder)`` fills it if it is missing."""
    place = cache_root() / f"{name}-{content_key(ingredients)}"
    if place.is_dir():
        return place
    with exclusive(cache_root() / "locks" / place.name):
        if place.is_dir():
            return place
        unfinished = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache_root()))
        try:
            unfinished.chmod(0o755)
            make(unfinished)
            (unfinished / "ingredients.json").write_text(
                json.dumps(ingredients, indent=1, sort_keys=True) + "\n"
            )
            unfinished.rename(place)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return place


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Hold a lock file; the kernel lets go of it when the holder ends, however it ends.

    The holder removes the file. Whoever waited for it then holds a file that is
    no longer there, notices, and begins again.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with lock.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if not _is_still(lock, handle.fileno()):
                continue
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
            return


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
