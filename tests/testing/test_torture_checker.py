"""What torture holds against a store, on histories made up: each kind of violation is found, and none in legal ones."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionkit.testing._worker import Session, Step, after
from sessionkit.testing.torture.checker import Alone, Violation
from sessionkit.testing.torture.checker import count as counted
from sessionkit.testing.torture.crowd import check_crowd
from sessionkit.testing.torture.history import Did, Failure
from sessionkit.testing.torture.judge import Judge

OWN = "own/0/0/0"
FIELDS = ["name", "state"]
NOT_APPLIED = Failure("BackendUnavailableError", "not_applied", retryable=True, text="locked")
UNKNOWN = Failure("BackendUnavailableError", "unknown", retryable=True, text="gone")
CONFLICT = Failure("ConflictError", None, retryable=False, text="another revision")


class History:
    """Steps, one second after the other, each of which takes half of one."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.done: list[Did] = []

    def did(self, operation: str, *added: str, slot: int = 0, result: Any = None, **fields: Any) -> "History":
        """Add a step of one of the writers."""
        step = {name: fields.pop(name) for name in ("value", "drop", "if_revision", "if_turn") if name in fields}
        begun = fields.pop("begun", float(len(self.done)))
        ended = fields.pop("ended", begun + 0.5)
        made = Step(operation, added=list(added), **step)
        self.done.append(Did(slot, f"1.0.{slot}.0", self.key, made, begun, ended, result, **fields))
        return self

    def looked(self, *contents: str, slot: int = 0, **fields: Any) -> "History":
        """Add a look."""
        begun = fields.pop("begun", float(len(self.done)))
        found = {"contents": list(contents), **fields}
        return self.did("look", slot=slot, result=found, begun=begun, ended=begun + 0.5)

    def alone(self) -> list[str]:
        """What is found where it had one writer."""
        judge = Alone(FIELDS)
        return [violation.kind for did in self.done for violation in judge.check(did)]

    def crowd(self) -> list[str]:
        """What is found where it had many."""
        return [violation.kind for violation in check_crowd(self.key, self.done)]


def own() -> History:
    """A session of one writer, with two messages and a name."""
    history = History(OWN).did("append", "a").did("append", "b").did("set_session_name", value="n")
    return history.looked("a", "b", name="n", state="idle None")


def shared() -> History:
    """A session of two writers that append."""
    return History("shared/0/0").did("append", "a").did("write", "b", "c", slot=1, result=2).did("append", "d")


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (("a", "b"), []),
        (("a",), ["lost"]),
        (("a", "b", "x"), ["invented"]),
        (("a", "b", "b"), ["twice"]),
        (("b", "a"), ["out of order"]),
        (("a", "!user message None"), ["torn"]),
    ],
)
def test_a_session_of_one_writer(found: tuple[str, ...], kind: list[str]) -> None:
    """What one writer was told is there, exactly: nothing less, nothing more, once and in order."""
    assert own().looked(*found, name="n", state="idle None").alone() == kind


def test_settings_of_one_writer() -> None:
    """A name that is gone is lost, and so is a state."""
    assert own().looked("a", "b", name=None, state="idle None").alone() == ["name lost"]
    assert own().looked("a", "b", name="n", state=None).alone() == ["state lost"]


def test_a_step_in_flight() -> None:
    """A step that a kill has cut off is there, or not; half of it is a violation, and so is anything else."""
    for found, kinds in (
        (("a", "b"), []),
        (("a", "c", "d"), []),
        (("a", "c"), ["half done"]),
        (("a",), ["half done"]),
        (("b", "c", "d"), ["lost"]),
    ):
        cut = own().did("write", "c", "d", drop=1, ended=None)
        assert cut.looked(*found, name="n", state="idle None").alone() == kinds, found


def test_a_look_settles_what_was_in_doubt() -> None:
    """Once it was seen that a step in flight has happened, it must stay so."""
    cut = own().did("append", "c", ended=None).looked("a", "b", "c", name="n", state="idle None")
    assert cut.looked("a", "b", name="n", state="idle None").alone() == ["lost"]


def test_what_a_caller_was_told() -> None:
    """What was told not to be applied is not there; of what nobody knows, either; any other error is a violation."""
    assert own().did("append", "c", failure=NOT_APPLIED).looked("a", "b", name="n", state="idle None").alone() == []
    refused = own().did("append", "c", failure=NOT_APPLIED)
    assert refused.looked("a", "b", "c", name="n", state="idle None").alone() == ["applied"]
    for found in (("a", "b"), ("a", "b", "c")):
        unknown = own().did("append", "c", failure=UNKNOWN)
        assert unknown.looked(*found, name="n", state="idle None").alone() == []
    assert own().did("append", "c", failure=CONFLICT).alone() == ["error"]


def test_answers() -> None:
    """A call that says something else than what it did is a violation."""
    assert own().did("remove_last", drop=1, result=False).alone() == ["answer"]
    assert own().did("clear_messages", result=3).alone() == ["answer"]
    assert own().did("delete_session", result=False).alone() == ["answer"]
    assert own().did("delete_session", result=True).did("delete_session", result=False).alone() == []


def test_a_deleted_session_stays_deleted() -> None:
    """What was there before a deletion does not come back."""
    gone = own().did("delete_session", result=True).did("append", "c")
    assert gone.looked("a", "b", "c", name=None, state="idle None").alone() == ["back again"]


def test_revisions_of_one_writer() -> None:
    """A revision that is given twice is a violation, deleted or not."""
    again = own().did("write", "c", result=7).did("delete_session", result=True).did("write", "d", result=7)
    assert again.alone() == ["revision repeated"]


def test_counts_and_searches_of_one_writer() -> None:
    """Counts are those of what is there; search finds a message that is there, and none that is not."""
    counts = counted(["a", "b"])
    assert own().looked("a", "b", name="n", state="idle None", counts=counts).alone() == []
    assert own().looked("a", "b", name="n", state="idle None", counts=[1, 0, 0]).alone() == ["counts"]
    assert own().did("search", value="a", result=[OWN]).alone() == []
    assert own().did("search", value="a", result=[]).alone() == ["forgotten by search"]
    assert own().did("search", value="x", result=[OWN]).alone() == ["search"]


@pytest.mark.parametrize(
    ("found", "kinds"),
    [
        ("a b c d", []),
        ("b c a d", []),
        ("a b c", ["lost"]),
        ("a b d", ["batch torn", "lost"]),
        ("a b c c d", ["twice", "batch torn"]),
        ("d b c a", ["out of order"]),
        ("b a c d", ["batch torn"]),
        ("a b c d x", ["invented", "balance"]),
        ("a b c d !torn", ["torn", "balance"]),
    ],
)
def test_a_session_to_which_many_append(found: str, kinds: list[str]) -> None:
    """All that was acknowledged is there once, each writer's in its order, and batches stand together."""
    assert sorted({*shared().looked(*found.split()).crowd()} - {"balance"}) == sorted({*kinds} - {"balance"})
    assert ("balance" in shared().looked(*found.split()).crowd()) == (len(found.split()) != 4)


def test_what_was_seen_stays() -> None:
    """What anybody has seen is the beginning of what is seen later."""
    late = shared().did("append", "e", slot=1, ended=None)
    assert late.looked(*"abcde").looked(*"abcde", slot=1).crowd() == []
    assert shared().did("append", "e", slot=1, ended=None).looked(*"abcde").looked(*"abcd").crowd() == ["lost"]
    moved = shared().did("append", "e", slot=2, begun=0, ended=9).looked(*"abcd").looked(*"eabcd", slot=1)
    assert moved.crowd() == ["out of order"]


def test_a_look_that_overlaps() -> None:
    """What is written while somebody looks may be seen, or not."""
    for found in ("a", "a b c"):
        overlapping = (
            History("shared/0/0").did("append", "a").did("write", "b", "c", slot=1, begun=1, ended=3, result=2)
        )
        assert overlapping.looked(*found.split(), begun=2).crowd() == []
    assert History("shared/0/0").looked("a").did("append", "a").crowd() == ["invented", "balance"]


def contested() -> History:
    """A session from which two writers remove, too."""
    history = shared().did("remove_last", slot=1, drop=1, result=True)
    return history.did("remove_last", drop=1, result=False, begun=0, ended=0.2)


def test_the_balance() -> None:
    """There are as many messages as were added and not removed; what is in doubt may count, or not."""
    assert contested().looked("a", "b", "c").crowd() == []
    assert contested().looked("a", "b").crowd() == ["balance"]
    assert contested().looked("a", "b", "c", "d").crowd() == ["balance"]
    for found in (["a", "b", "c"], ["a", "b"]):
        assert contested().did("remove_last", drop=1, ended=None).looked(*found).crowd() == []
    assert contested().did("remove_last", drop=1, ended=None).looked("a").crowd() == ["balance"]


def test_what_was_emptied() -> None:
    """What was there before a session was emptied is not there afterwards; what came meanwhile may be."""
    assert contested().did("clear_messages", result=3).looked("a").crowd() == ["back again", "balance"]
    assert contested().did("delete_session", slot=1, result=True).looked("a").crowd() == ["back again"]
    meanwhile = contested().did("clear_messages", begun=9, ended=11, result=3).did("append", "e", begun=10, ended=10.5)
    assert meanwhile.looked("e", begun=12).crowd() == []


def test_what_nobody_can_have_removed() -> None:
    """A message that came after the last removal must be there."""
    after_all = contested().did("delete_session", result=True).did("append", "e", slot=1)
    assert after_all.looked().crowd() == ["lost"]


def test_fences() -> None:
    """Of writers with one condition one wins, and no revision is there twice."""
    one = shared().did("write", "e", result=5, if_revision=4)
    assert one.did("write", "f", slot=1, if_revision=4, failure=CONFLICT).crowd() == []
    assert one.did("write", "g", slot=1, if_revision=4, result=6).crowd() == ["fence"]
    assert shared().did("write", "e", result=2).crowd() == ["revision repeated"]
    assert shared().did("write", "e", result=3, if_revision=3).crowd() == ["fence"]
    assert shared().did("write", "e", if_revision=3, failure=CONFLICT).looked(*"abcde").crowd() == [
        "applied",
        "balance",
    ]


def test_turns() -> None:
    """Who was taken over, or has ended its turn, writes no more; who begins a turn is told that it runs."""
    turns = History("turns/0").did("begin_turn", value="t", result="t").did("write", "a", if_turn="t", result=2)
    taken = turns.did("begin_turn", value="u", slot=1, result="u").did("write", "b", if_turn="t", failure=CONFLICT)
    assert taken.did("write", "c", slot=1, if_turn="u", result=3).looked("a", "c").crowd() == []
    assert taken.did("write", "d", if_turn="t", result=4).looked("a", "c", "d").crowd() == ["turn", "turn"]
    ended = History("turns/0").did("begin_turn", value="t", result="t").did("set_turn_state", value="t", result=2)
    assert ended.did("write", "a", if_turn="t", result=3).crowd() == ["turn"]
    assert History("turns/0").did("begin_turn", value="t", result="u").crowd() == ["turn"]


def test_a_turn_that_writes_while_it_is_taken_over() -> None:
    """What it writes may come before the first message of the later turn, and not after it."""
    for contents, kinds in (("ab", []), ("ba", ["turn"])):
        turns = History("turns/0").did("begin_turn", value="t", result="t")
        turns.did("write", "a", if_turn="t", begun=1, ended=9, result=2)
        turns.did("begin_turn", value="u", slot=1, begun=3, result="u")
        turns.did("write", "b", slot=1, if_turn="u", begun=5, result=3)
        assert turns.looked(*contents, begun=10).crowd() == kinds


def test_errors_of_many() -> None:
    """Only what the contract knows for the step may be raised."""
    too_many = attrs.evolve(CONFLICT, kind="ValueError")
    assert shared().did("write", "e", drop=2, failure=too_many).crowd() == []
    assert shared().did("append", "e", failure=too_many).crowd() == ["error"]
    assert shared().did("append", "e", failure=NOT_APPLIED).looked(*"abcd").crowd() == []


def judged(did: list[Did], *, quiet: bool = True) -> list[Violation]:
    """What a judge says that knows one session, of one writer."""
    judge = Judge(FIELDS)
    assert list(judge.hear(own().done, quiet=False)) == []
    return list(judge.hear(did, quiet=quiet))


@pytest.mark.parametrize(
    ("operation", "listed", "kinds"),
    [
        ("list", [OWN], []),
        ("list", [], ["not listed"]),
        ("list", [OWN, OWN], ["listed twice"]),
        ("list", [OWN, "own/9/9/9"], ["back again"]),
        ("list with metadata", [[OWN, 2]], []),
        ("list with metadata", [[OWN, 3]], ["counts"]),
    ],
)
def test_lists(operation: str, listed: list[Any], kinds: list[str]) -> None:
    """A list names each session that is there, once, and no other."""
    assert [each.kind for each in judged(History("").did(operation, result=listed).done)] == kinds


def test_lists_while_others_write() -> None:
    """Only one's own sessions must then be there."""
    other = History("").did("list", result=["shared/0/0"]).done
    assert judged(other, quiet=False) == []
    mine = own().did("list", result=[]).done
    mine[-1] = attrs.evolve(mine[-1], key="")
    assert [each.kind for each in Judge(FIELDS).hear(mine, quiet=False)] == ["not listed"]


def test_a_store_that_does_not_open() -> None:
    """It is a violation, unless a lock was waited for while others worked."""
    broken = History("").did("open", failure=attrs.evolve(NOT_APPLIED, retryable=False)).done
    assert [each.kind for each in judged(broken, quiet=False)] == ["not opened"]
    waited = History("").did("open", failure=NOT_APPLIED).done
    assert judged(waited, quiet=False) == []
    assert [each.kind for each in judged(waited)] == ["not opened"]
    assert [each.kind for each in Judge(FIELDS).hear([], quiet=False, died="it died: signal 11")] == ["stuck"]


def test_a_session_that_many_have_left() -> None:
    """What a session of many was when they left it, it must be at the end."""
    judge = Judge([])
    done = shared().looked(*"abcd").done
    assert list(judge.hear(done, quiet=True)) == []
    assert list(judge.settle(["shared/0/0"])) == []
    later = History("shared/0/0").looked("a", "b", "c").done
    assert [each.kind for each in judge.hear(later, quiet=True)] == ["lost"]


OPERATIONS = ["append", "append", "write", "remove_last", "update_last", "clear_messages", "delete_session"]


def did_by(session: Session, step: Step) -> Any:
    """What the step returns."""
    contents = session["contents"]
    match step.operation:
        case "remove_last" | "update_last":
            return bool(contents)
        case "clear_messages":
            return len(contents)
        case "delete_session":
            return session["state"] is not None
        case _:
            return None


@st.composite
def legal_histories(draw: st.DrawFn, *, writers: int) -> list[Did]:
    """What writers do to a store that keeps its promises.

    Each step happens at some moment while it runs, or where it was cut off or is in doubt, perhaps.
    """
    numbers: Iterator[int] = count()
    revisions: Iterator[int] = count(1)
    session: Session = {"contents": [], "state": None}
    free = [0.0] * writers
    done: list[Did] = []
    moment = 0.0
    for _ in range(draw(st.integers(1, 25))):
        slot = draw(st.integers(0, writers - 1))
        moment = max(moment + 1, free[slot])  # when it happens
        begun = max(free[slot], moment - draw(st.floats(0, 3)))
        operation = draw(st.sampled_from([*OPERATIONS, "look", "look"]))
        step = _drawn(draw, operation, len(session["contents"]), numbers)
        if step.operation == "look":
            fate = "returns"
            result: Any = {**session, "contents": [*session["contents"]]}
        else:
            result = did_by(session, step)
            fate = draw(st.sampled_from(["returns"] * 6 + ["cut off", "unknown", "refused"]))
            happens = fate == "returns" or (fate != "refused" and draw(st.booleans()))
            if happens and (result is not False or step.operation == "delete_session"):
                session = after(session, step)
            if step.operation == "write":
                result = next(revisions)
        ended = moment + draw(st.floats(0.1, 3))
        free[slot] = ended + 0.01
        failure = {"unknown": UNKNOWN, "refused": NOT_APPLIED}.get(fate)
        answered = fate != "cut off"
        gave = result if fate == "returns" else None
        done.append(Did(slot, str(slot), "s", step, begun, ended if answered else None, gave, failure))
    end = 1000.0
    done.append(Did(0, "end", "s", Step("look"), end, end + 1, {**session, "contents": [*session["contents"]]}))
    return done


def _drawn(draw: st.DrawFn, operation: str, length: int, numbers: Iterator[int]) -> Step:
    if operation == "write":
        batch = [f"m{next(numbers)}" for _ in range(draw(st.integers(1, 3)))]
        return Step(operation, added=batch, drop=draw(st.integers(0, min(2, length))))
    added = [f"m{next(numbers)}"] if operation in {"append", "update_last"} else []
    return Step(operation, added=added, drop=int(operation in {"remove_last", "update_last"}))


@given(legal_histories(writers=3))
def test_nothing_is_found_in_legal_histories_of_many(done: list[Did]) -> None:
    """Whatever writers do side by side to a store that keeps its promises, no violation is found."""
    assert list(check_crowd("s", done)) == []


@given(legal_histories(writers=1))
def test_nothing_is_found_in_legal_histories_of_one(done: list[Did]) -> None:
    """Nor in what one writer does, whatever is cut off."""
    alone = Alone(["state"])
    assert [violation for did in done for violation in alone.check(did)] == []


@given(legal_histories(writers=3), st.data())
def test_a_message_that_goes_missing_is_found(done: list[Did], data: st.DataObject) -> None:
    """Where nobody removes, a message that was acknowledged and is missing at the end is found, whichever it is."""
    added = [did for did in done if (did.step.operation, did.step.drop) in {("append", 0), ("write", 0)}]
    sure = [name for did in added if did.succeeded for name in did.step.added]
    if sure:
        missing = data.draw(st.sampled_from(sure))
        end = attrs.evolve(done[-1], result={"contents": [name for name in sure if name != missing]})
        assert "lost" in [violation.kind for violation in check_crowd("s", [*added, end])]
