"""Names a piece of JSON by its content: a status holds what rules something was begun under. Pure."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import Any

import rfc8785

MEMORY = 4096
"""Pieces remembered: each pass asks for those of each gate and strategy several times."""


def fingerprint(piece: Any) -> str:
    """16 hex of the SHA-256 of canonical JSON (RFC 8785): the order of keys does not matter."""
    return _of(json.dumps(piece))


@lru_cache(maxsize=MEMORY)
def _of(text: str) -> str:
    # making it canonical takes five times as long as writing it down
    return hashlib.sha256(rfc8785.dumps(json.loads(text))).hexdigest()[:16]
