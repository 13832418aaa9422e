"""A check beside others, and of what others wrote: no false alarm, and nothing of theirs is touched."""

import json
from pathlib import Path
from random import Random

import pytest

from sessionkit import ChatMessage, locks
from sessionkit_jsonl import JSONLBackend, check
from sessionkit_jsonl.compaction import mended_times
from sessionkit_jsonl.standing import Entry
from tests.backends.jsonl.damages import KEY, filled, problems
from tests.backends.jsonl.test_spellings import HI, SESSIONS, SPELLINGS, create

FOREIGN = {
    "messages": '{"role":"user","content":"a"}\n{"role":"assistant","content":"b"}\n',
    "no newline at the end": '{"role":"user","content":"a"}\n\n{"role":"assistant","content":"b"}',
    "Windows": '\ufeff{"content":"a","role":"user"}\r\n{"role":"assistant","content":"b"}\r\n',
    "times of their own": "".join(
        f'{{"role":"user","content":"a","timestamp":"2020-01-0{day}T00:00:00Z"}}\n' for day in (3, 1, 2)
    ),
}


@pytest.mark.parametrize("repair", [False, True])
def test_a_compaction_that_has_begun_since_is_no_left_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, repair: bool
) -> None:
    """The lock that the check had was that of the file before: who is at work has another, and loses nothing."""
    backend = JSONLBackend(tmp_path)
    backend.append("s", HI)
    left = tmp_path / "s.jsonl.tmp"
    left.write_bytes(b"half")
    real = locks.acquire

    def acquire(descriptor: int, **options: object) -> None:
        (tmp_path / "new").write_bytes((tmp_path / "s.jsonl").read_bytes())
        (tmp_path / "new").chmod(0o600)
        (tmp_path / "new").replace(tmp_path / "s.jsonl")
        real(descriptor, **options)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] -- as they come

    monkeypatch.setattr(check, "acquire", acquire)
    left.chmod(0o600)
    assert [finding.kind for finding in backend.check(repair=repair)] == []
    assert left.read_bytes() == b"half"
    monkeypatch.setattr(check, "acquire", real)
    assert [finding.kind for finding in backend.check(repair=repair)] == ["orphan"]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("session", SESSIONS)
def test_a_store_that_was_spelled_otherwise_has_notes_only(tmp_path: Path, session: str, spelling: str) -> None:
    """Of one file one; a repair leaves it as it is, and it reads the same."""
    file = tmp_path / "s.jsonl"
    tmp_path.chmod(0o700)
    backend = JSONLBackend(tmp_path)
    create(session, backend)
    expected = backend.load("s")
    file.write_text("".join(SPELLINGS[spelling](json.loads(line)) + "\n" for line in file.read_text().splitlines()))
    content = file.read_bytes()
    for repair in (False, True, False):
        findings = list(backend.check(repair=repair))
        assert [finding.severity for finding in findings] in ([], ["note"])
    assert file.read_bytes() == content
    assert backend.load("s") == expected


def test_bytes_lost_from_a_text_are_a_problem(tmp_path: Path) -> None:
    """Told once, where it begins: every line below stands elsewhere, too. Whoever spells it otherwise loses nothing."""
    backend = filled(tmp_path / "store")
    file = tmp_path / "store" / "s.jsonl"
    file.write_bytes(file.read_bytes().replace(b"message 2", b"messag 2"))
    assert len(problems(backend)) == 1


@pytest.mark.parametrize("foreign", FOREIGN)
def test_messages_of_another_program_are_in_order(tmp_path: Path, foreign: str) -> None:
    """And stay as they are, byte for byte, whatever is repaired; so is what follows them."""
    store = tmp_path / "store"
    backend = JSONLBackend(store)
    file = store / "s.jsonl"
    file.write_bytes(FOREIGN[foreign].encode())
    file.chmod(0o600)
    assert [*backend.check(), *backend.check(repair=True)] == []
    assert file.read_bytes() == FOREIGN[foreign].encode()
    backend.append("s", HI)
    assert [*backend.check(), *backend.check(repair=True)] == []
    assert file.read_bytes().startswith(FOREIGN[foreign].encode())
    backend.compact("s")
    assert list(backend.check()) == []


def test_a_time_that_runs_backwards_is_mended(tmp_path: Path) -> None:
    """Where only a message's own time is wrong, and not that of its line, too."""
    backend = filled(tmp_path / "store")
    backend.append(KEY, HI)
    backend.update_last(KEY, ChatMessage("user", "in its place"))
    file = tmp_path / "store" / "s.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"made":17', b'"made":16'))
    assert {finding.kind for finding in problems(backend)} == {"order"}
    before = backend.load_with_timestamps(KEY)
    list(backend.check(repair=True))
    assert problems(backend) == []
    after = backend.load_with_timestamps(KEY)
    assert [stored.message for stored in after] == [stored.message for stored in before]
    assert after[:-1] == before[:-1]
    assert after[-1].created_at == after[-2].created_at


def test_as_few_times_as_can_be_are_mended() -> None:
    """Against all ways to leave some out; those that are left in stay, and the others are those of a neighbour."""
    random = Random(5)  # noqa: S311 -- no secret
    for _ in range(300):
        times = [random.randrange(6) for _ in range(random.randrange(7))]
        messages = [(Entry(i, b"", time, i, None, 1), HI) for i, time in enumerate(times)]
        mended = mended_times(messages)
        assert mended == sorted(time for time in mended if time is not None)
        assert set(mended) <= set(times)
        longest = max(_runs(times), default=0)
        assert sum(old == new for old, new in zip(times, mended, strict=True)) >= longest


def _runs(times: list[int]) -> list[int]:
    """How long each choice of some of them is, in which none is before the one preceding it."""
    choices = ([time for i, time in enumerate(times) if bits >> i & 1] for bits in range(2 ** len(times)))
    return [len(choice) for choice in choices if choice == sorted(choice)]
