"""Properties are about numbers, not about how fast a busy machine finds them."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
