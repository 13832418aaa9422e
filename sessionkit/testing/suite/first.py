"""The oldest messages: `load_first`."""

import copy

from sessionkit import ChatMessage, TimestampedMessage
from sessionkit.testing.suite.base import Backend, SuiteBase, fill, say, texts
from sessionkit.testing.suite.promises import promise

_FIRST = ("SupportsFirst",)
_LENGTH = 40


class FirstPromises(SuiteBase):
    """`load_first`."""

    @promise("first.oldest", needs=_FIRST)
    def test_only_the_oldest(self, backend: Backend) -> None:
        """`load_first` gives only the oldest messages, as many as asked for, oldest first; 0 none.

        If this fails: count from the beginning, of one session, and turn nothing round.
        """
        long = _long_session(backend)
        fill(backend, "b", *map(str, range(12)))
        assert backend.load_with_timestamps("a") == long
        for count in (0, 1, 2, 11, 12, _LENGTH - 1, _LENGTH):
            assert backend.load_first("a", count) == long[:count], f"count={count}"
            assert texts(_messages(backend.load_first("b", count))) == list(map(str, range(12)))[:count]

    @promise("first.no-more-than-there-are", needs=_FIRST)
    def test_more_than_there_are(self, backend: Backend) -> None:
        """`load_first` gives all messages where there are no more than asked for.

        If this fails: it is no error to ask for more; and the count may be larger than 63 bits.
        """
        fill(backend, "a", "0", "1", "2")
        everything = backend.load_with_timestamps("a")
        for count in (3, 4, 1000, 2**31, 2**63, 10**30):
            assert backend.load_first("a", count) == everything, f"count={count}"

    @promise("first.unknown", needs=_FIRST)
    def test_the_first_of_nothing(self, backend: Backend) -> None:
        """`load_first` gives no messages for an unknown session, and creates none.

        If this fails: an unknown session must stay unknown; one without messages has no first one either.
        """
        assert backend.load_first("nobody", 3) == []
        assert self.settled(backend.list_sessions) == []
        fill(backend, "a", "one")
        backend.remove_last("a")
        assert backend.load_first("a", 3) == []

    @promise("first.after-removal", needs=_FIRST)
    def test_the_first_after_removals(self, backend: Backend) -> None:
        """`load_first` gives messages that are there, not those that were removed, however many came after them.

        If this fails: positions may have gaps, and what was removed may still stand in the store; count what is there.
        """
        for left in (2, 0):
            _long_session(backend)
            kept = backend.load_with_timestamps("a")[:left]
            for _ in range(len(backend.load("a")) - left):
                backend.remove_last("a")
            self._is_first(backend, kept, "a few were left")
        _long_session(backend)
        backend.clear_messages("a")
        self._is_first(backend, [], "all were cleared")
        if self.offers(backend, "SupportsWrite"):
            fill(backend, "a", *map(str, range(5)))
            kept = backend.load_with_timestamps("a")[:3]
            backend.write("a", drop_last=len(backend.load("a")) - 3, append=[say("new")] * 3)
            self._is_first(backend, kept, "most were dropped")
        backend.delete_session("a")
        self._is_first(backend, [], "the session was deleted")

    @promise("first.after-replacement", needs=(*_FIRST, "update_last"))
    def test_the_first_after_replacements(self, backend: Backend) -> None:
        """`load_first` gives what a message was replaced by, be it the first of all, as often as it is replaced.

        If this fails: a streaming answer grows by being replaced; nothing of the old one stays.
        """
        fill(backend, "a", "0")
        for text in ("grows", "grows and grows"):
            backend.update_last("a", say(text))
            assert texts(_messages(backend.load_first("a", 1))) == [text]
        fill(backend, "a", "1")
        backend.update_last("a", say("2"))
        _long_session(backend)
        backend.update_last("a", say("3"))
        assert texts(_messages(backend.load_first("a", 3))) == ["grows and grows", "2", _text(0)]
        self._is_whole(backend)

    @promise("first.times", needs=(*_FIRST, "load_with_timestamps", "update_last"))
    def test_the_times_of_the_first(self, backend: Backend) -> None:
        """`load_first` gives the `created_at` that `load_with_timestamps` gives, of replaced messages too.

        If this fails: both must read the same times; when a message was replaced, or read, is none of them.
        """
        for i in range(4):
            backend.append("a", say(str(i)))
            self.tick()
            if i % 2:
                backend.update_last("a", say(f"{i} again"))
        before = [stored.created_at for stored in backend.load_with_timestamps("a")]
        self.tick()
        for count in range(5):
            assert [stored.created_at for stored in backend.load_first("a", count)] == before[:count]

    @promise("first.shares-nothing", needs=_FIRST)
    def test_changing_what_load_first_gave(self, backend: Backend) -> None:
        """Changing what `load_first` gave changes nothing stored, and nothing that it gives later.

        If this fails: decode the messages anew at each call.
        """
        message = say("0", extra={"x": [1]})
        wanted = copy.deepcopy(message)
        backend.append("a", message)
        fill(backend, "a", "1")
        given = backend.load_first("a", 1)
        given[0].message.extra["x"].append(2)
        given.append(given[0])
        assert _messages(backend.load_first("a", 1)) == [wanted]
        assert backend.load("a") == [wanted, say("1")]

    def _is_first(self, backend: Backend, kept: list[TimestampedMessage], when: str) -> None:
        """The session begins with these, before and after it goes on for long."""
        for _ in range(2):
            assert backend.load_first("a", len(kept)) == kept, when
            self._is_whole(backend)
            _long_session(backend)

    @staticmethod
    def _is_whole(backend: Backend) -> None:
        """Any number of the first messages are those of the whole session."""
        everything = backend.load_with_timestamps("a")
        for count in (1, 3, 5, len(everything) - 1, len(everything) + 1):
            assert backend.load_first("a", max(0, count)) == everything[: max(0, count)]


def _long_session(backend: Backend) -> list[TimestampedMessage]:
    """Many messages more in the session "a", longer than what a store may read at once; gives all that are there."""
    for i in range(_LENGTH):
        backend.append("a", say(_text(i)))
    return backend.load_with_timestamps("a")


def _text(number: int) -> str:
    return f"{number} " + "long " * 200


def _messages(stored: list[TimestampedMessage]) -> list[ChatMessage]:
    return [item.message for item in stored]
