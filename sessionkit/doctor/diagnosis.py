"""The examination of what a URL names: also of a store that can't even be opened."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import attrs

from sessionkit.doctor.asking import ask
from sessionkit.doctor.examination import Progress, examine
from sessionkit.errors import BackendUnavailableError, BackendURLError, CorruptSessionError
from sessionkit.models import STUCK_AFTER, Finding
from sessionkit.protocol import OpenBackend
from sessionkit.registry import BackendURL, factory_of, open_backend

_UNOPENED = (BackendUnavailableError, CorruptSessionError)
"""What a store that can't be opened raises."""

_OPENED = "it could be opened to write, as a store that holds what is told here"


@attrs.frozen(kw_only=True)
class Diagnosis:
    """How a store is.

    Attributes:
        url: the store, without a password.
        findings: what was found, each with what was done about it.
        left: after a repair, what a second look found; None where nothing was to be repaired.
        sessions: how many sessions were looked at, the last time that it was.
        messages: how many messages they hold.
        searched: how many of the sessions were searched for.
        in_depth: whether the backend's own `SupportsCheck` was asked too.
        opened: whether the store could be opened, the last time that it was looked at; where not, nothing in it was.
        busy: the keys of sessions that others wrote to all the while; of these only what can't be read is told.
    """

    url: str
    findings: list[Finding]
    left: list[Finding] | None = None
    sessions: int = 0
    messages: int = 0
    searched: int = 0
    in_depth: bool = False
    opened: bool = True
    busy: list[str] = attrs.Factory(list)

    @property
    def problems(self) -> list[Finding]:
        """What needs something done: of all that was found, or after a repair of what is left."""
        return [one for one in (self.findings if self.left is None else self.left) if one.severity == "problem"]

    @property
    def is_healthy(self) -> bool:
        """Whether the last look found no problem."""
        return not self.problems


def diagnose(
    url: str | BackendURL,
    *,
    repair: bool = False,
    stuck_after: float | None = STUCK_AFTER,
    progress: Progress = lambda _done, _all: None,
) -> Diagnosis:
    """`examine` what a URL names, and where it was repaired once more; it is what ``sessionkit doctor`` does.

    Without `repair` it is opened with ``mode=ro`` where the backend knows that option and the URL does not say
    otherwise, so that nothing is written and nothing created. A store that is there and can't be opened is a finding of
    the kind ``structure``. Where such findings are left after a repair, the attribute ``rescue`` of the scheme's
    factory is called with the `BackendURL`, where there is one: it sets the damaged store aside, never deletes it,
    makes a new one of what can be read, and gives findings.

    Raises:
        BackendURLError: the URL can't be read, or nobody knows its scheme, or an option is wrong.
        BackendUnavailableError: there is no such store, or it can't be read at present; or with `repair`, not be
            written.
        TypeError: `stuck_after` is no number.
        ValueError: it is negative.
    """
    url = url if isinstance(url, BackendURL) else BackendURL.parse(url)

    def look(opening: Callable[[BackendURL], OpenBackend], *, mend: bool = False) -> Diagnosis:
        try:
            backend = opening(url)
        except _UNOPENED as error:
            return Diagnosis(url=str(url), findings=[_unopened(url, error)], opened=False)
        with backend:
            seen = examine(backend, repair=mend, stuck_after=stuck_after, progress=progress)
            found = list(seen)
        return Diagnosis(
            url=str(url),
            findings=found,
            sessions=seen.sessions,
            messages=seen.messages,
            searched=seen.searched,
            in_depth=seen.in_depth,
            busy=sorted(seen.busy),
        )

    if not repair:
        return look(open_to_look)
    found = _unopened_before(url)
    mended = look(open_backend, mend=True)
    if mended.opened:
        found = [attrs.evolve(one, repaired=_OPENED) for one in found]
    found += mended.findings
    again = look(open_to_look)
    if any(one.kind == "structure" for one in again.problems):  # what mending could not reach
        found += _rescued(url)
        found += look(open_backend, mend=True).findings
        again = look(open_to_look)
    return attrs.evolve(again, findings=_each_once(found), left=again.findings)


def open_to_look(url: BackendURL) -> OpenBackend:
    """Open without being able to write, where the backend offers it: a look must not create what a typo names."""
    try:
        return open_backend(url, mode="ro")
    except BackendURLError:
        return open_backend(url)


def _unopened_before(url: BackendURL) -> list[Finding]:
    """Look first, because opening to write would create what is not there, and hide that nothing is left of a store."""
    try:
        open_to_look(url).close()
    except _UNOPENED as error:
        return [_unopened(url, error)]
    return []


def _unopened(url: BackendURL, error: BackendUnavailableError | CorruptSessionError) -> Finding:
    """What is wrong with a store that can't be opened.

    Raises:
        BackendUnavailableError: nothing is wrong with it: it is not there, or in use.
    """
    if (isinstance(error, BackendUnavailableError) and error.retryable) or _is_missing(url):
        raise error
    readable = url.host is not None or os.access(url.path, os.R_OK)
    return Finding("structure" if readable else "permissions", str(error), where=str(url))


def _is_missing(url: BackendURL) -> bool:
    """Whether it is a place of this machine, and nothing is there."""
    return url.host is None and not (url.path and os.path.lexists(Path(url.path)))


def _rescued(url: BackendURL) -> list[Finding]:
    """What the backend's own way to make a new store of a damaged one did; nothing where it has none."""
    rescue: Callable[[BackendURL], Iterable[Finding]] | None = getattr(factory_of(url.scheme), "rescue", None)
    if rescue is None:
        return []
    rescuing = ask(lambda: list(rescue(url)), "rescue()")
    return [*rescuing.findings, *(rescuing.value or ())]


def _each_once(found: list[Finding]) -> list[Finding]:
    """Of a finding that was made again, what was done about it in the end."""
    last: dict[Finding, Finding] = {}
    for one in found:
        bare = attrs.evolve(one, repaired=None)
        if bare not in last or one.repaired is not None:
            last[bare] = one
    return list(last.values())
