"""Debian packages, unpacked into the cache; nothing is installed on the system and no script of theirs runs.

The archive keeps one version of a package at a time, so the versions got are
recorded in ``versions.json`` beside the files and printed.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from dev.cluster import cache
from dev.cluster.errors import ClusterError
from dev.cluster.progress import say, step


def unpacked(name: str, packages: Sequence[str]) -> Path:
    """The folder with the files of ``packages``, as they would lie below ``/``."""

    def make(folder: Path) -> None:
        with step(f"{name} from {len(packages)} Debian packages"):
            _download(packages, folder / "archives")
            versions = {}
            for archive in sorted((folder / "archives").glob("*.deb")):
                subprocess.run(["dpkg", "-x", archive, folder / "root"], check=True)
                package, version, _ = archive.stem.split("_")
                versions[package] = version.replace("%3a", ":")
            shutil.rmtree(folder / "archives")
        (folder / "versions.json").write_text(json.dumps(versions, indent=1) + "\n")
        say("           " + ", ".join(f"{package} {version}" for package, version in versions.items()))

    release = platform.freedesktop_os_release()
    suite = f"{release.get('ID')}-{release.get('VERSION_CODENAME')}"
    ingredients = {"packages": sorted(packages), "suite": suite, "machine": platform.machine()}
    return cache.artifact(name, ingredients, make) / "root"


def _download(packages: Sequence[str], folder: Path) -> None:
    folder.mkdir()
    # As root itself: apt's own user may not write into a private folder.
    command = ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", *packages]
    first = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if first.returncode == 0:
        return
    # No package lists yet, or lists that name versions the archive has replaced since.
    subprocess.run(["apt-get", "update", "-qq"], capture_output=True, check=False)
    second = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if second.returncode:
        raise ClusterError(
            f"apt-get could not download what a node needs of Debian 12: {second.stderr.strip()}"
        )
