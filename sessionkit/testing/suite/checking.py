"""A look at what the other methods can't see: `check`."""

import warnings
from collections.abc import Generator
from contextlib import contextmanager

from sessionkit import CorruptRecordWarning, Finding
from sessionkit.testing.suite.base import Backend, SuiteBase, fill, say, texts, told_of
from sessionkit.testing.suite.promises import promise

_CHECK = ("SupportsCheck",)


class CheckPromises(SuiteBase):
    """`check`, with and without a repair."""

    @promise("check.healthy", needs=_CHECK)
    def test_a_store_in_order(self, backend: Backend) -> None:
        """`check` finds no problem where nothing but the contract's own methods has touched the store.

        If this fails: look for what an update, a removal or a deletion leaves behind on purpose; that is no damage.
        """
        assert _problems(backend) == []
        _use(backend)
        assert _problems(backend) == []

    @promise("check.changes-nothing", needs=_CHECK)
    def test_a_check_changes_nothing(self, backend: Backend) -> None:
        """`check` changes nothing of a store in order, nor does it with ``repair=True``.

        If this fails: a look writes nothing; and a repair touches what is damaged, no more.
        """
        _use(backend)
        before = [told_of(backend, key) for key in sorted(backend.list_sessions())]
        for repair in (False, True):
            assert [one for one in backend.check(repair=repair) if one.repaired] == []
            assert [told_of(backend, key) for key in sorted(backend.list_sessions())] == before, f"repair={repair}"

    @promise("check.finds", needs=_CHECK)
    def test_what_is_damaged_is_found(self, backend: Backend) -> None:
        """`check` finds a message that can't be read, names its session, and only looks.

        If this fails: read every record of every session.
        """
        with self._damaged(backend) as before:
            found = _problems(backend)
            assert [one for one in found if one.session_key == "a"], "nothing is told of the damaged session"
            assert [one for one in found if one.repaired] == []
            assert texts(backend.load("a")) == before
            assert _problems(backend) == found

    @promise("check.repairs", needs=_CHECK)
    def test_what_is_damaged_is_mended(self, backend: Backend) -> None:
        """``check(repair=True)`` sets aside what can't be read, says what it did, and loses no message that can be;
        another check finds no problem any more.

        If this fails: keep what can't be read, as it is, where `load` does not look; and count what is left.
        """
        with self._damaged(backend) as before:
            mended = list(backend.check(repair=True))
            assert [one for one in mended if one.session_key == "a" and one.repaired], "nothing tells of the repair"
            assert texts(backend.load("a")) == before
            assert _problems(backend) == []
            assert self._is_kept(), "what could not be read is gone"
            fill(backend, "a", "four")
            assert texts(backend.load("a")) == [*before, "four"]

    @contextmanager
    def _damaged(self, backend: Backend) -> Generator[list[str]]:
        """One message of three can't be read any more; gives those that can."""
        fill(backend, "a", "one", "two", "three")
        fill(backend, "b", "one")
        is_kept = self.corrupt(self.given(backend), "a")
        if is_kept is None:
            self.not_offered("corrupt() of the suite")
        self._is_kept = is_kept
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CorruptRecordWarning)
            yield texts(backend.load("a"))
            assert texts(backend.load("b")) == ["one"]


def _use(backend: Backend) -> None:
    """Leave behind what honest use leaves behind."""
    fill(backend, "a", "one", "two", "three")
    backend.update_last("a", say("four"))
    backend.remove_last("a")
    fill(backend, "b", "one")
    backend.clear_messages("b")
    fill(backend, "c", "one")
    backend.delete_session("c")
    fill(backend, "c", "again")
    backend.compact("a")
    fill(backend, "a", "five")


def _problems(backend: Backend) -> list[Finding]:
    return [one for one in backend.check() if one.severity == "problem"]
