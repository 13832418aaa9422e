"""Asking a backend so that neither its warnings nor its errors get away: what each of them says is a finding."""

import warnings
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import attrs

from sessionkit.defaults import Support, capabilities, with_defaults
from sessionkit.errors import (
    BackendClosedError,
    BackendUnavailableError,
    CorruptRecordWarning,
    CorruptSessionError,
    SessionKitError,
)
from sessionkit.models import Finding
from sessionkit.protocol import CoreBackend

T = TypeVar("T")

_LOOKS = 4


@attrs.frozen
class Answer(Generic[T]):
    """What a call gave, and what it complained of; None where it raised."""

    value: T | None
    findings: list[Finding]


class Patient:
    """A backend that is examined.

    Attributes:
        backend: with all 22 methods; the optional protocols are asked for by `offers`.
        busy: the keys of sessions that others changed for as long as they were looked at.
    """

    def __init__(self, core: CoreBackend) -> None:
        self.backend: Any = with_defaults(core)
        self.busy: set[str] = set()
        self._can = capabilities(self.backend)

    def is_native(self, method: str) -> bool:
        """Whether the backend answers by its own code; comparing a default with what it is made of shows nothing."""
        return self._can.methods[method] is Support.NATIVE

    def offers(self, protocol: str) -> bool:
        """Whether the optional protocol is there."""
        return protocol in self._can.protocols

    def ask(self, method: str, *args: Any, damage: str = "corrupt-message", **options: Any) -> Answer[Any]:
        """Call the method with the arguments; a warning that a record can't be read is a finding of the kind `damage`.

        Raises:
            BackendUnavailableError: at present, but not for good.
            BackendClosedError: somebody has closed the backend.
        """
        key = args[0] if args and isinstance(args[0], str) else None
        return ask(lambda: getattr(self.backend, method)(*args, **options), f"{method}()", key, damage)

    def agreed(self, key: str, mark: Callable[[], object], look: Callable[[], list[Finding]]) -> list[Finding]:
        """What two looks in a row find, where nothing has changed from before the first to after the second.

        Nothing where a look finds nothing. Of a session that never holds still, what can't be read is all that counts:
        whoever writes does not damage.
        """
        before, previous = mark(), None
        always: list[Finding] | None = None
        for _ in range(_LOOKS):
            found = look()
            after = mark()
            if not found or (after == before and found == previous):
                return found
            always = [one for one in found if always is None or one in always]
            previous, before = found if after == before else None, after
        self.busy.add(key)
        return [one for one in always or () if one.kind.startswith("corrupt-")]


def ask(call: Callable[[], T], what: str, key: str | None = None, damage: str = "corrupt-message") -> Answer[T]:
    """Call it, and note what it complains of; see `Patient.ask`."""
    value: T | None = None
    findings: list[Finding] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            value = call()
        except CorruptSessionError as error:
            findings.append(Finding("corrupt-session", str(error), error.session_key, error.where))
        except BackendClosedError:
            raise
        except BackendUnavailableError as error:
            if error.retryable:
                raise
            findings.append(Finding("structure", f"{what} fails: {error}", key))
        except SessionKitError as error:
            findings.append(Finding("structure", f"{what} fails: {error}", key))
        except Exception as error:  # noqa: BLE001 -- a backend of somebody else's; the text may hold anything
            wrong = f"{what} raises {type(error).__name__}, which is none of sessionkit's errors"
            findings.append(Finding("structure", wrong, key))
    for warning in caught:
        if issubclass(warning.category, CorruptRecordWarning):
            findings.append(Finding(damage, str(warning.message), key))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return Answer(value, findings)


def as_list(value: object) -> list[Any]:
    """What a list method gave; nothing where it gave none."""
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType] -- of whatever
