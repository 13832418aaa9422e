"""Every error and warning of sessionkit, under one root.

::

    SessionKitError
    ├── InvalidSessionKeyError   (also a ValueError)
    ├── InvalidMessageError      (also a ValueError)
    ├── BackendURLError          (also a ValueError)
    ├── ConfigurationError       (also a ValueError)
    ├── ConflictError
    │   └── TurnTakenError       session_key, turn_id, since, heartbeat_at
    ├── UnknownSessionError      (also a LookupError)
    ├── UnsupportedOperationError
    ├── BackendClosedError
    ├── CorruptSessionError      session_key, where
    └── BackendUnavailableError  retryable, outcome

    UserWarning
    ├── UnsupportedFeatureWarning
    └── CorruptRecordWarning

A driver's own exception never reaches a caller bare: it is the ``__cause__`` of one of these, except where it
would show a secret. Backends written elsewhere must raise these classes too, because structural typing does not
reach exceptions.
"""

from datetime import datetime
from typing import Literal

Outcome = Literal["not_applied", "unknown"]


class SessionKitError(Exception):
    """The root of all errors that sessionkit raises on purpose."""


class InvalidSessionKeyError(SessionKitError, ValueError):
    """The session key is not text of 1 to 1,024 UTF-8 bytes without NUL. Nothing was touched."""


class InvalidMessageError(SessionKitError, ValueError):
    """The message can't be stored exactly, or told to a provider, or what was read is none. Nothing was stored."""


class BackendURLError(SessionKitError, ValueError):
    """A backend's URL, or one of its options, is wrong; the message says what, and what is known instead."""


class ConfigurationError(SessionKitError, ValueError):
    """A setting is wrong; the message names the setting, where it was made, and what was expected."""


class ConflictError(SessionKitError):
    """Somebody else changed the session, runs a turn in it, or it exists already. Nothing was changed."""


class TurnTakenError(ConflictError):
    """Another turn runs in the session, and it was not to be taken over.

    Attributes:
        session_key: the session.
        turn_id: the turn that runs.
        since: when it began, as far as is known.
        heartbeat_at: its last sign of life, as far as is known.
    """

    session_key: str
    turn_id: str | None
    since: datetime | None
    heartbeat_at: datetime | None

    def __init__(
        self,
        message: str,
        *,
        session_key: str,
        turn_id: str | None,
        since: datetime | None = None,
        heartbeat_at: datetime | None = None,
    ) -> None:
        super().__init__(message)
        self.session_key = session_key
        self.turn_id = turn_id
        self.since = since
        self.heartbeat_at = heartbeat_at


class UnknownSessionError(SessionKitError, LookupError):
    """There is no session of that key, where one is needed. Nothing was created."""


class UnsupportedOperationError(SessionKitError):
    """The backend does not offer the method or the optional protocol that this operation needs."""


class BackendClosedError(SessionKitError):
    """The backend was closed before this call."""


class CorruptSessionError(SessionKitError):
    """What is stored can't be read as a session.

    Attributes:
        session_key: the session it concerns; None where the whole store is meant.
        where: the place within the store, for a person to look at: a file and a line, or a table and a row.
    """

    session_key: str | None
    where: str

    def __init__(self, message: str, *, session_key: str | None = None, where: str = "") -> None:
        super().__init__(message)
        self.session_key = session_key
        self.where = where


class BackendUnavailableError(SessionKitError):
    """The store can't be opened, locked, written or reached.

    Attributes:
        retryable: whether the same call may succeed later without anybody mending anything.
        outcome: ``"not_applied"`` where the write surely did not happen, ``"unknown"`` where it may have.
    """

    retryable: bool
    outcome: Outcome

    def __init__(self, message: str, *, retryable: bool = False, outcome: Outcome = "not_applied") -> None:
        super().__init__(message)
        self.retryable = retryable
        self.outcome = outcome


class UnsupportedFeatureWarning(UserWarning):
    """A default of `SessionBackend` was asked for something that the four required methods can't do."""


class CorruptRecordWarning(UserWarning):
    """A stored record could not be read; it was skipped, and nothing of it was deleted."""
