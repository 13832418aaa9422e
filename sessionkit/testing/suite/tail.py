"""The newest messages: their times, removing the last and replacing it."""

import copy
from datetime import UTC, datetime, timedelta

from sessionkit import InvalidMessageError
from sessionkit.testing.suite.base import Backend, SuiteBase, fill, refuses, say, texts
from sessionkit.testing.suite.promises import promise
from sessionkit.testing.suite.values import EVERY_FIELD, REFUSED_MESSAGES, TOO_LARGE, assert_same


class TailPromises(SuiteBase):
    """`load_with_timestamps`, `remove_last` and `update_last`."""

    @promise("timestamps.same-messages", needs=("load_with_timestamps",))
    def test_timestamped_messages_are_those_of_load(self, backend: Backend) -> None:
        """`load_with_timestamps` gives the messages of `load`, in its order; none for an unknown session.

        If this fails: both must read the same rows in the same order.
        """
        assert backend.load_with_timestamps("nobody") == []
        fill(backend, "a", *map(str, range(12)))
        assert [stored.message for stored in backend.load_with_timestamps("a")] == backend.load("a")

    @promise("timestamps.when-stored", needs=("load_with_timestamps", "times"))
    def test_created_at_is_when_it_was_stored(self, backend: Backend) -> None:
        """`created_at` is when the message was stored, timezone-aware UTC, whatever the message's own timestamp says.

        If this fails: take the time when the message is written; the message's `timestamp` is the caller's.
        """
        before = self.tick()
        backend.append("a", say("one", timestamp=datetime(2001, 1, 1, tzinfo=UTC)))
        between = self.tick()
        backend.append("a", say("two"))
        after = self.tick()
        one, two = (stored.created_at for stored in backend.load_with_timestamps("a"))
        assert one is not None
        assert two is not None
        assert before < one < between < two < after
        assert one.utcoffset() == two.utcoffset() == timedelta(0)

    @promise("timestamps.not-invented", needs=("load_with_timestamps",))
    def test_times_are_not_invented(self, backend: Backend) -> None:
        """`created_at` does not depend on when it is read: it is when the message was stored, or its own timestamp, or
        None.

        If this fails: a store that keeps no times does not give the time of the call.
        """
        moment = datetime(2001, 1, 1, tzinfo=UTC)
        backend.append("a", say("one", timestamp=moment))
        backend.append("a", say("two"))
        stored = self.tick()
        one, two = (item.created_at for item in backend.load_with_timestamps("a"))
        assert one is None or one == moment or self.keeps_times(backend)
        assert two is None or two < stored
        self.tick()
        assert [item.created_at for item in backend.load_with_timestamps("a")] == [one, two]

    @promise("timestamps.last", needs=("load_with_timestamps",))
    def test_only_the_newest(self, backend: Backend) -> None:
        """`last=n` gives only the newest n, still oldest first; 0 none, more than there are all.

        If this fails: `messages[-0:]` is all of them; n counts from the end; and it may be larger than 63 bits.
        """
        wanted = [str(i) for i in range(12)]
        fill(backend, "a", *wanted)
        for last in (0, 1, 2, 5, 11, 12, 13, 1000, 2**31, 2**63, 10**30):
            stored = backend.load_with_timestamps("a", last=last)
            assert texts([item.message for item in stored]) == wanted[max(0, 12 - last) :], f"last={last}"
        everything = backend.load_with_timestamps("a")
        assert backend.load_with_timestamps("a", last=None) == everything
        assert backend.load_with_timestamps("a", last=4) == everything[8:]
        assert backend.load_with_timestamps("nobody", last=3) == []

    @promise("timestamps.last-after-removal", needs=("load_with_timestamps", "update_last"))
    def test_the_newest_after_removals(self, backend: Backend) -> None:
        """`last=n` counts messages that are there, not those that were removed or replaced.

        If this fails: positions may have gaps; count rows, not numbers.
        """
        fill(backend, "a", "0", "1", "2", "3")
        backend.remove_last("a")
        backend.remove_last("a")
        fill(backend, "a", "4", "5")
        backend.update_last("a", say("6"))
        assert texts([stored.message for stored in backend.load_with_timestamps("a", last=3)]) == ["1", "4", "6"]

    @promise("remove_last.newest")
    def test_remove_last_removes_the_newest(self, backend: Backend) -> None:
        """`remove_last` removes the newest message and no other, and gives True.

        If this fails: the newest is the last one of `load`.
        """
        fill(backend, "a", *map(str, range(11)))
        fill(backend, "b", "other")
        for left in range(10, -1, -1):
            assert backend.remove_last("a") is True
            assert texts(backend.load("a")) == [str(i) for i in range(left)]
        assert texts(backend.load("b")) == ["other"]

    @promise("remove_last.none-is-false")
    def test_remove_last_of_nothing(self, backend: Backend) -> None:
        """`remove_last` gives False where there is no message, and creates nothing.

        If this fails: an unknown session must stay unknown.
        """
        assert backend.remove_last("nobody") is False
        assert backend.list_sessions() == []
        fill(backend, "a", "one")
        assert backend.remove_last("a") is True
        assert backend.remove_last("a") is False

    @promise("remove_last.session-stays")
    def test_session_without_messages_stays(self, backend: Backend) -> None:
        """The session stays when its last message is removed.

        If this fails: a session is more than its messages; keep a record of it.
        """
        fill(backend, "a", "one")
        backend.remove_last("a")
        assert backend.list_sessions() == ["a"]
        assert backend.load("a") == []

    @promise("remove_last.then-append")
    def test_append_after_removal(self, backend: Backend) -> None:
        """A message appended after a removal is the newest.

        If this fails: the next position comes after the last one that is there.
        """
        fill(backend, "a", "0", "1", "2")
        backend.remove_last("a")
        fill(backend, "a", "3")
        backend.remove_last("a")
        backend.remove_last("a")
        fill(backend, "a", "4", "5")
        assert texts(backend.load("a")) == ["0", "4", "5"]

    @promise("update_last.replaces-newest", needs=("update_last",))
    def test_update_last_replaces_the_newest(self, backend: Backend) -> None:
        """`update_last` replaces the newest message and no other, as often as it is called, and gives True.

        If this fails: a streaming answer grows by being replaced; nothing of the old one stays.
        """
        fill(backend, "a", "0", "1")
        fill(backend, "b", "other")
        for message in (say("grows"), say("grows and grows"), EVERY_FIELD):
            assert backend.update_last("a", message) is True
            found = backend.load("a")
            assert texts(found[:-1]) == ["0"]
            assert_same(found[-1], message)
        fill(backend, "a", "2")
        assert len(backend.load("a")) == 3
        assert texts(backend.load("b")) == ["other"]
        backend.update_last("a", say("3"))
        backend.remove_last("a")
        backend.remove_last("a")
        assert texts(backend.load("a")) == ["0"]

    @promise("update_last.none-is-false", needs=("update_last",))
    def test_update_last_of_nothing(self, backend: Backend) -> None:
        """`update_last` gives False where there is no message, and stores nothing.

        If this fails: it must not append, nor create the session.
        """
        assert backend.update_last("nobody", say("one")) is False
        assert backend.list_sessions() == []
        fill(backend, "a", "one")
        backend.remove_last("a")
        assert backend.update_last("a", say("two")) is False
        assert backend.load("a") == []

    @promise("update_last.keeps-created-at", needs=("load_with_timestamps", "times"), native=("update_last",))
    def test_update_last_keeps_created_at(self, backend: Backend) -> None:
        """`update_last` keeps the `created_at` of the message that it replaces.

        If this fails: only the content changes; when the message was first stored does not.
        """
        fill(backend, "a", "0", "1")
        before = [stored.created_at for stored in backend.load_with_timestamps("a")]
        self.tick()
        backend.update_last("a", say("2", timestamp=datetime(2001, 1, 1, tzinfo=UTC)))
        assert [stored.created_at for stored in backend.load_with_timestamps("a")] == before

    @promise("update_last.refuses-not-json", needs=("update_last",))
    def test_update_last_refuses_what_json_cannot_hold(self, backend: Backend) -> None:
        """What JSON can't hold exactly is `InvalidMessageError`, and the old message stays.

        If this fails: check the new message before the old one is touched.
        """
        fill(backend, "a", "0", "1")
        for what, make in REFUSED_MESSAGES.items():
            with refuses(InvalidMessageError, f"update_last() to {what}"):
                backend.update_last("a", make())
        assert texts(backend.load("a")) == ["0", "1"]

    @promise("update_last.too-large-refused", needs=("update_last",))
    def test_update_last_refuses_too_large_messages(self, backend: Backend) -> None:
        """`update_last` refuses as large a message as `append` does: `InvalidMessageError`, and the old one stays.

        If this fails: a streaming answer grows; check it, with the same limit, before the old one is touched.
        """
        fill(backend, "a", "0")
        with refuses(InvalidMessageError):
            backend.update_last("a", say("x" * TOO_LARGE))
        assert texts(backend.load("a")) == ["0"]

    @promise("update_last.shares-nothing", needs=("update_last",))
    def test_changing_a_message_after_update_last(self, backend: Backend) -> None:
        """Changing a message after `update_last` changes nothing stored.

        If this fails: keep `encode_message` of it, not the caller's object.
        """
        fill(backend, "a", "0")
        message = say("1", extra={"x": [1]})
        wanted = copy.deepcopy(message)
        backend.update_last("a", message)
        message.extra["x"].append(2)
        assert backend.load("a") == [wanted]
