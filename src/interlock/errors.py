"""Errors by the question a caller asks: who must act?

InterlockError
├── SpecError        the user: change the object; Stalled until then
├── DependencyError  somebody else's object: create or mend it; looked at again when it changes
└── TransientError   nobody: it is tried again with back-off
    └── Conflict     the object changed since it was read: read again, decide again
"""

from __future__ import annotations


class InterlockError(Exception):
    """Base of every error that Interlock raises on purpose; its text is fit for a status message."""


class SpecError(InterlockError):
    """The user's object cannot be followed; the text names the field and what it must be."""


class DependencyError(InterlockError):
    """An object that the user's object refers to is missing or unusable; the text names it."""


class TransientError(InterlockError):
    """A server did not do what was asked, and may do so later."""


class Conflict(TransientError):
    """A write met a newer version of the object (HTTP 409): nothing was written."""
