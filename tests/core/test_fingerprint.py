"""The name of a piece of JSON is that of its content: an upgrade must not rename what a status holds."""

from __future__ import annotations

import hashlib

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.fingerprint import fingerprint

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
_KEYS = st.text("abcé\U0001f600", max_size=3)
PIECES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(PIECES)
def test_it_is_that_of_the_canonical_form(piece: object) -> None:
    assert fingerprint(piece) == hashlib.sha256(rfc8785.dumps(piece)).hexdigest()[:16]  # type: ignore[arg-type]


@given(st.dictionaries(st.text("abc", max_size=3), PIECES, max_size=4))
def test_the_order_of_keys_does_not_matter(piece: dict[str, object]) -> None:
    assert fingerprint(piece) == fingerprint(dict(reversed(piece.items())))


def test_the_name_of_rules_that_a_status_holds_stays() -> None:
    assert fingerprint([{"name": "full", "full": {"soakSeconds": 60}}]) == "859bdf92e4d27fe6"
