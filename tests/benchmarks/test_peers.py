"""The comparison with peers: each does what its row says, and what it can't do is said, not left out."""

import asyncio
import math
import re
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest

from benchmarks import peers
from benchmarks.corpus import ABSENT, RARE, generated
from benchmarks.measure import SMOKE, Run, Samples
from benchmarks.peers import OURS, PEERS
from benchmarks.peers.langchain import FileHistory
from benchmarks.peers.ours import JSONL, SQLite
from benchmarks.peers.peer import EXTEND, LAST, LIST, OPERATIONS, PAGE, REMOVE, REPLACE, SEARCH, Peer, within
from benchmarks.peers.prepared import Filling, OverBudgetError, filled, key
from benchmarks.peers.rows import OPERATIONS as COMPARED
from benchmarks.peers.rows import against, measured, rows_of
from benchmarks.peers.syncs import per_append
from benchmarks.peers.turns import Plan, Turn, interleave, plan
from sessionkit import ChatMessage

REQUIREMENTS = Path(peers.__file__).parent.with_name("peers.txt")

# What peers warn of when they are imported or used is theirs.
pytestmark = pytest.mark.filterwarnings("ignore")


def each(*classes: type[Peer]) -> pytest.MarkDecorator:
    """A test of each of those, left out where it isn't installed."""
    return pytest.mark.parametrize(
        "peer",
        [
            pytest.param(
                peer,
                id=peer.name,
                marks=pytest.mark.skipif(
                    bool(peer.missing()), reason=f"needs {', '.join(peer.missing())}: {peers.INSTALL}"
                ),
            )
            for peer in classes
        ],
    )


class Forgetful(SQLite):
    """A store that keeps every second message only."""

    name = "forgetful"

    async def append(self, key: str, message: ChatMessage) -> None:
        """Every second one."""
        self.appended = not getattr(self, "appended", False)
        if self.appended:
            await super().append(key, message)


class Mute(SQLite):
    """A store that can't list."""

    name = "mute"
    cannot: ClassVar[Mapping[str, str]] = {LIST: "nobody asked"}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run at the smallest scale."""
    shared, folder = tmp_path / "shared", tmp_path / "folder"
    shared.mkdir()
    folder.mkdir()
    return Run(folder, SMOKE, shared)


def operation(name: str) -> Any:
    """What is compared under that name."""
    return next(found for found in COMPARED if found.name == name)


@pytest.mark.parametrize("peer", [*OURS, *PEERS], ids=lambda peer: peer.name)
def test_operation_is_there_or_said_not_to_be(peer: type[Peer]) -> None:
    """Each operation is either written for the peer or has a reason why not; remarks are on those that are written."""
    for name in OPERATIONS:
        assert (getattr(peer, name) is not getattr(Peer, name)) == (name not in peer.cannot)
    assert all(peer.cannot.values())
    assert peer.remarks.keys() <= set(OPERATIONS) - peer.cannot.keys()


def test_row_names_are_unique_and_spelt_alike() -> None:
    """A row's name is the operation's, with its size, and the peer's."""
    names = [row.name for row in rows_of([*OURS, *PEERS])]
    assert len(set(names)) == len(names)
    assert "peers.append.1000.langchain-file" in names
    assert "peers.page.10000.sessionkit-sqlite" in names


def test_requirements_name_every_distribution() -> None:
    """What the adapters look for is what the requirements install."""
    listed = {line.partition(">=")[0] for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines()}
    wanted = {package for peer in PEERS for package in peer.packages}
    assert wanted - {"langchain-core"} <= listed  # every one of LangChain's brings that
    assert peers.INSTALL.endswith("benchmarks/peers.txt")


def test_without_any_peer_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is in the message."""
    monkeypatch.setattr(Peer, "missing", classmethod(lambda _: ["everything"]))
    with pytest.raises(peers.NoPeersError, match=re.escape("pip install -r benchmarks/peers.txt")):
        peers.peer_rows()


def test_a_missing_peer_is_left_out_with_a_remark(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others are measured, ours first."""
    there, missing = PEERS[:2]
    monkeypatch.setattr(Peer, "missing", classmethod(lambda peer: [] if peer is there else ["something"]))
    names = [row.name for row in peers.peer_rows()]
    assert f"peers.load.{there.name}" in names
    assert f"peers.load.{missing.name}" not in names
    assert names[0] == "peers.append.100.sessionkit-sqlite"
    assert f"{missing.name} is left out, for want of something" in capsys.readouterr().err


def test_what_a_peer_cannot_do_is_a_row_that_says_so(run: Run) -> None:
    """The figure is no number, and the note has the reason."""
    found = measured(Mute, operation("list.1000"), run)
    assert math.isnan(found.value)
    assert found.note == "cannot: nobody asked"


def test_what_takes_too_long_to_fill_is_a_row_that_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The figure is infinite, the note has how far it came, and a number for plots is how long was waited."""
    monkeypatch.setattr("benchmarks.peers.prepared.perf_counter", iter(range(0, 1_000_000, 10)).__next__)
    found = measured(SQLite, operation("load"), run)
    assert found.value == math.inf
    assert found.note.startswith("over 1 s: 0 of 200 messages")
    assert found.numbers == {"over_seconds": 1}


def test_lost_messages_are_told(run: Run) -> None:
    """What was appended while the clock ran is counted afterwards."""
    assert "LOST" in measured(Forgetful, operation("append.100"), run).note
    assert measured(SQLite, operation("append.100"), run).note == ""


@pytest.mark.parametrize("row", rows_of([SQLite, JSONL]), ids=lambda row: row.name)
def test_row_gives_a_figure(row: Any, run: Run) -> None:
    """Every operation is measured, nothing is remarked on ours."""
    found = row.measure(run)
    assert math.isfinite(found.value)
    if row.unit == "x":
        assert found.note == ""
    if row.unit == "lost":
        assert found.value == 0
        assert found.note.startswith("of 2 acknowledged; worst wait ")
        assert found.numbers["worst_wait_ms"] > 0


@each(*PEERS)
def test_rows_of_a_peer_give_figures(peer: type[Peer], run: Run, tmp_path: Path) -> None:
    """A figure, or why there is none. Nothing is lost where one appends, all is found: no remark but the known one."""
    for number, compared in enumerate(COMPARED):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = measured(peer, compared, attrs.evolve(run, folder=folder))
        if compared.method in peer.cannot:
            assert found.note == f"cannot: {peer.cannot[compared.method]}"
        elif not found.note.startswith("over "):
            assert math.isfinite(found.value)
            remark = re.sub(r"^[0-9.]+ times a floor that doesn't sync(; )?", "", found.note)
            assert compared.unit != "x" or remark == peer.remarks.get(compared.method, "")


@each(*OURS, *PEERS)
def test_adapter_does_what_it_says(peer: type[Peer], tmp_path: Path) -> None:
    """Messages come back, in order; the last ones, a replaced and a removed one too; sessions are listed and found."""
    messages = generated(130).messages
    asyncio.run(_check(peer(), tmp_path, messages))
    asyncio.run(_check_again(peer(), tmp_path))


async def _check(peer: Peer, folder: Path, messages: Sequence[ChatMessage]) -> None:
    await peer.open(folder)
    for name in ("one", "two"):
        await peer.attach(name)
        await peer.prepare(name, [peer.convert(message) for message in messages[:10]])
    for message in messages[10:]:
        await peer.append("one", peer.convert(message))
    expected = [message.text for message in messages]
    await _holds(peer, "one", expected)
    if EXTEND not in peer.cannot:
        await peer.extend("one", [peer.convert(message) for message in messages[:5]])
        expected += expected[:5]
        await _holds(peer, "one", expected)
    if LAST not in peer.cannot:
        found = await peer.last("one", 7)
        assert [_words(peer.text(stored)) for stored in found] == [_words(text) for text in expected[-7:]]
    if REPLACE not in peer.cannot:
        await peer.replace_last("one", peer.convert(ChatMessage.assistant("instead")))
        expected[-1] = "instead"
        await _holds(peer, "one", expected)
    if REMOVE not in peer.cannot:
        await peer.remove_last("one")
        del expected[-1]
        await _holds(peer, "one", expected)
    await _holds(peer, "two", expected[:10])
    if LIST not in peer.cannot:
        assert len(await peer.list_sessions()) == 2
    if PAGE not in peer.cannot:
        assert len(await peer.page(50)) == 2
        assert len(await peer.page(1)) == 1
    if SEARCH not in peer.cannot:
        assert await peer.search(RARE) == ["one"]
    await peer.close()


async def _check_again(peer: Peer, folder: Path) -> None:
    """A store that is opened again goes on where it was."""
    await peer.open(folder)
    await peer.attach("two")
    await peer.append("two", peer.convert(ChatMessage.user("again")))
    found = await peer.load("two")
    assert len(found) == 11
    assert peer.text(found[-1]) == "again"
    await peer.close()


async def _holds(peer: Peer, name: str, expected: Sequence[str]) -> None:
    found = await peer.load(name)
    assert [_words(peer.text(stored)) for stored in found] == [_words(text) for text in expected]
    assert all(peer.holds(stored, _words(peer.text(stored))[0]) for stored in found)
    assert not any(peer.holds(stored, ABSENT) for stored in found)


def _words(text: str) -> list[str]:
    return text.split()


@each(FileHistory)
def test_file_is_prepared_as_it_would_be_written(peer: type[Peer], tmp_path: Path) -> None:
    """Preparing leaves the very bytes that appending one by one does."""

    async def write(folder: Path, *, prepared: bool) -> None:
        history = peer()
        await history.open(folder)
        await history.attach("one")
        messages = [history.convert(message) for message in generated(30).messages]
        if prepared:
            await history.prepare("one", messages[:20])
            await history.prepare("one", messages[20:])
        else:
            for message in messages:
                await history.append("one", message)

    files: list[bytes] = []
    for prepared in (False, True):
        folder = tmp_path / f"{prepared}"
        folder.mkdir()
        asyncio.run(write(folder, prepared=prepared))
        (file,) = folder.iterdir()
        files.append(file.read_bytes())
    assert files[0] == files[1]


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace counts the syncs")
@each(*OURS, *PEERS)
def test_who_syncs_is_as_stated(peer: type[Peer], tmp_path: Path) -> None:
    """One sync at each append, or several, or none; opening and closing may take one more or less."""
    assert (round(per_append(peer, tmp_path)) >= 1) == peer.syncs


def test_stores_are_filled_once_and_copied(run: Run) -> None:
    """What one row writes, the next doesn't find."""

    async def grown() -> int:
        peer = SQLite()
        async with filled(peer, run, Filling(2, 10), 10) as store:
            assert store == Filling(2, 10)
            await peer.append(key(0), generated(1).messages[0])
            return len(await peer.load(key(0)))

    assert [asyncio.run(grown()), asyncio.run(grown())] == [11, 11]


def test_fewer_sessions_will_do_where_that_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store whose filling was ended in time for one session is measured with that, but not as a whole."""
    monkeypatch.setattr("benchmarks.peers.prepared.perf_counter", iter(range(0, 1_000_000, 10)).__next__)

    async def sessions(*, whole: bool) -> int:
        async with filled(SQLite(), run, Filling(3, 10), 15, whole=whole) as store:
            return store.sessions

    assert asyncio.run(sessions(whole=False)) == 1
    with pytest.raises(OverBudgetError, match="10 of 30 messages"):
        asyncio.run(sessions(whole=True))


def noting(calls: list[Any], name: str) -> Callable[[int], Awaitable[object]]:
    """An operation that notes its calls."""

    async def note(number: int) -> None:
        calls.append((name, number))

    return note


def test_contenders_take_turns_in_one_loop() -> None:
    """Chunks alternate, and who goes first too; what is done before an operation is done before each."""
    calls: list[Any] = []
    turns = {"ours": Turn(noting(calls, "ours"), noting(calls, "before")), "floor": Turn(noting(calls, "floor"))}
    samples = asyncio.run(interleave(turns, Plan(1, 64)))
    assert [name for name, _ in calls] == ["before", "ours"] * 32 + ["floor"] * 64 + ["before", "ours"] * 32
    assert [number for name, number in calls if name == "ours"] == list(range(64))
    assert [len(found.times) for found in samples.values()] == [64, 64]


def test_a_floor_makes_some_operations_a_turn_after_one_that_is_not_counted() -> None:
    """However few the other makes; each with what is done before it, and a number of its own."""
    calls: list[Any] = []
    floor = Turn(noting(calls, "floor"), noting(calls, "before"), least=4)
    samples = asyncio.run(interleave({"ours": Turn(noting(calls, "ours")), "floor": floor}, Plan(2, 1)))
    assert [name for name, _ in calls] == ["ours", *["before", "floor"] * 10, "ours"]
    assert [number for name, number in calls if name == "floor"] == list(range(10))
    assert {name: [len(times) for times in found.rounds] for name, found in samples.items()} == {
        "ours": [1, 1],
        "floor": [4, 4],
    }


def test_who_waits_for_the_disk_is_compared_by_medians() -> None:
    """One sync that takes long moves a mean, not the figure; the ratio of the means is kept beside it."""
    samples = {"ours": Samples([[20, 20, 20], [20, 20, 20]]), "floor": Samples([[10, 10, 10], [10, 10, 70]])}
    found = against(samples, waits=True)
    assert found.value == 2
    assert found.numbers == {"means": 1}
    assert against(samples, waits=False).value == pytest.approx((2 + 2 / 3) / 2)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a word", True), ({"arguments": [1, {"query": "the word"}]}, True), ({"word": None, "other": 1.5}, False)],
)
def test_words_are_looked_for_within_structures(value: Any, *, expected: bool) -> None:
    """In every string, but not in the names."""
    assert within("word", value) == expected


@pytest.mark.parametrize(
    ("took", "most", "expected"),
    [
        (0.001, 10_000, Plan(5, 100)),  # time for more than was wanted
        (0.004, 10_000, Plan(2, 100)),  # for two rounds
        (0.02, 10_000, Plan(5, 10)),  # for no whole round: shorter ones
        (0.9, 10_000, Plan(3, 1)),  # for one only
        (30, 10_000, Plan(3, 1)),  # too long: three, so that there is a median
        (0.001, 4, Plan(2, 1)),  # no more than there may be
    ],
)
def test_slow_operations_are_measured_less_often(
    took: float, most: int, expected: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as there is time for, in as many rounds as are wanted."""
    times = iter([took * number for number in range(9)])
    monkeypatch.setattr("benchmarks.peers.turns.perf_counter", times.__next__)
    calls: list[Any] = []
    chosen = asyncio.run(plan({"ours": Turn(noting(calls, "ours"))}, seconds=1, most=most, wanted=Plan(5, 100)))
    assert chosen == expected
    assert len(calls) == (1 if took > 1 else 2)
