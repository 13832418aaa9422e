"""The doctor on real stores: healthy ones, ones in use, damaged ones."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sessionkit import (
    BackendUnavailableError,
    BackendURLError,
    ChatMessage,
    CorruptSessionError,
    Finding,
    OpenBackend,
    SessionContext,
    extend,
    open_backend,
    register_backend,
)
from sessionkit.doctor import diagnose, examine
from sessionkit.registry import BackendURL
from tests.backends.trouble import JSONLTrouble, SQLiteTrouble, Trouble
from tests.conversations import conversations
from tests.places import url_of
from tests.toys import DictBackend

ON_DISK: dict[str, type[Trouble]] = {"jsonl": JSONLTrouble, "sqlite": SQLiteTrouble}

on_disk = pytest.mark.parametrize("scheme", ON_DISK)


def fill(backend: OpenBackend) -> None:
    """Conversations, real ones where there are any, and what else becomes of sessions."""
    for key, messages in list(conversations().items())[:5]:
        extend(backend, key, [ChatMessage.from_dict(message) for message in messages])
    for number, text in enumerate(("Guten Tag", "日本語のテキスト", "emoji \N{GRINNING FACE}", "…", "")):
        backend.append("many", ChatMessage.user(f"{text} {number}" if number else text))
    backend.update_last("many", ChatMessage.assistant("a growing answer"))
    for key in ("empty", "gone", "named", "a/../b", "Ä"):
        backend.append(key, ChatMessage.user("one"))
        backend.append(key, ChatMessage("assistant", "two"))
        backend.remove_last(key)
    backend.clear_messages("empty")
    backend.delete_session("gone")
    backend.compact("named")
    backend.set_session_name("named", "A name")
    backend.set_session_agent_alias("named", "agent")
    backend.set_session_context("only a context", SessionContext("c", attributes={"a": [1]}))
    backend.set_session_state("many", "running", "turn")


@pytest.mark.parametrize("scheme", ["memory", *ON_DISK])
def test_a_healthy_store_has_no_finding(scheme: str, tmp_path: Path) -> None:
    """Open or at rest, looked at or mended; all of it was looked at."""
    with open_backend(url_of(scheme, tmp_path)) as backend:
        fill(backend)
        for repair in (False, True):
            examination = examine(backend, repair=repair)
            assert list(examination) == []
            assert examination.sessions == len(backend.list_sessions())
            assert examination.messages == sum(len(backend.load(key)) for key in backend.list_sessions())
            assert examination.searched == examination.sessions
    if scheme == "memory":
        return
    before = contents(tmp_path)
    assert diagnose(url_of(scheme, tmp_path)).findings == []
    assert contents(tmp_path) == before
    diagnosis = diagnose(url_of(scheme, tmp_path), repair=True)
    assert (diagnosis.findings, diagnosis.left, diagnosis.is_healthy) == ([], [], True)


@on_disk
def test_a_store_in_use_has_no_finding(scheme: str, tmp_path: Path) -> None:
    """Threads write, replace, remove and delete all the while, by an object of their own."""
    url = url_of(scheme, tmp_path)
    done = threading.Event()
    errors: list[BaseException] = []

    def write(number: int) -> None:
        try:
            with open_backend(url) as backend:
                while not done.is_set():
                    for key in ("shared", f"own{number}"):
                        backend.append(key, ChatMessage.user(f"word{number}"))
                        backend.update_last(key, ChatMessage.assistant(f"other{number}"))
                    backend.remove_last("shared")
                    backend.set_session_state(f"own{number}", "running", f"t{number}")
                    backend.delete_session(f"own{number}")
        except BaseException as error:  # noqa: BLE001 -- told below
            errors.append(error)

    with open_backend(url) as backend:
        fill(backend)
        writers = [threading.Thread(target=write, args=(number,)) for number in range(2)]
        for writer in writers:
            writer.start()
        try:
            found = [one for _ in range(2) for one in examine(backend)]
        finally:
            done.set()
            for writer in writers:
                writer.join()
        assert errors == []
        assert [one for one in found if one.severity == "problem"] == []


@on_disk
def test_a_damaged_message_is_found_and_mended(scheme: str, tmp_path: Path) -> None:
    """What is damaged is told with its session; after a repair it is set aside, and all else is as it was."""
    url = url_of(scheme, tmp_path)
    with open_backend(url) as backend:
        fill(backend)
        for text in ("one", "two", "three"):
            backend.append("hurt", ChatMessage.user(text))
        before = {key: backend.load(key) for key in backend.list_sessions()}
    is_kept = ON_DISK[scheme](tmp_path / "store").corrupt("hurt")
    found = diagnose(url)
    assert not found.is_healthy
    assert {one.session_key for one in found.problems} == {"hurt"}
    assert "corrupt-message" in {one.kind for one in found.problems}
    mended = diagnose(url, repair=True)
    assert [one.what for one in mended.findings if one.severity == "problem" and one.repaired is None] == []
    assert mended.is_healthy
    assert is_kept()
    del before["hurt"][1]
    with open_backend(url) as backend:
        assert {key: backend.load(key) for key in backend.list_sessions()} == before


def rescuing(url: BackendURL) -> Iterator[Finding]:
    """Put what can't be opened aside."""
    path = Path(url.path)
    path.rename(path.with_suffix(".aside"))
    path.touch()
    yield Finding("structure", "it was rubbish", repaired="set aside")


def pretending(_url: BackendURL) -> Iterator[Finding]:
    """Say that it was mended, and do nothing."""
    yield Finding("structure", "it was rubbish", repaired="mended")


@pytest.mark.parametrize("error", [BackendUnavailableError, CorruptSessionError])
@pytest.mark.parametrize(
    ("rescue", "healthy"),
    [(None, False), (rescuing, True), (pretending, False)],
    ids=["none", "rescuing", "pretending"],
)
def test_what_cannot_be_opened(
    rescue: Callable[[BackendURL], Iterator[Finding]] | None,
    error: type[Exception],
    *,
    healthy: bool,
    tmp_path: Path,
) -> None:
    """It is a finding; with a repair the scheme's factory may rescue it, which is looked at afterwards."""
    scheme = f"rescued-{'not' if rescue is None else rescue.__name__}-{error.__name__}".lower()
    place = tmp_path / "store"

    def factory(url: BackendURL) -> DictBackend:
        if Path(url.path).read_text():
            msg = "this is rubbish"
            raise error(msg)
        return DictBackend()

    if rescue is not None:
        factory.rescue = rescue  # type: ignore[attr-defined] # pyright: ignore[reportFunctionMemberAccess] -- as backends do
    register_backend(scheme, factory)
    place.write_text("rubbish")
    url = f"{scheme}:///{place}"
    looked = diagnose(url)
    assert [(one.kind, one.what) for one in looked.findings] == [("structure", "this is rubbish")]
    assert place.read_text() == "rubbish"
    mended = diagnose(url, repair=True)
    assert mended.findings
    assert mended.is_healthy is healthy
    assert "rubbish" in [file.read_text() for file in tmp_path.iterdir()]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
@on_disk
def test_what_may_not_be_read(scheme: str, tmp_path: Path) -> None:
    """It is told as that, and left alone."""
    url = url_of(scheme, tmp_path)
    with open_backend(url) as backend:
        fill(backend)
    (tmp_path / "store").chmod(0)
    try:
        assert {one.kind for one in diagnose(url, repair=True).problems} == {"permissions"}
    finally:
        (tmp_path / "store").chmod(0o700)


def test_a_wrong_url_is_an_error() -> None:
    """And no finding."""
    with pytest.raises(BackendURLError):
        diagnose("nobody://knows")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file, to the byte."""
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("healed", [True, False])
def test_what_mending_does_not_reach_is_rescued(*, healed: bool, tmp_path: Path) -> None:
    """Where the structure of a store that opens is still damaged after a repair, it is rescued, and looked at again."""
    damaged = tmp_path / "store"
    damaged.touch()

    class Checked(DictBackend):
        def check(self, *, repair: bool = False) -> Iterator[Finding]:
            del repair
            if damaged.exists():
                yield Finding("structure", "a page belongs to nothing")

    def factory(_url: BackendURL) -> Checked:
        return Checked()

    def rescue(_url: BackendURL) -> Iterator[Finding]:
        if healed:
            damaged.rename(tmp_path / "aside")
        yield Finding("structure", "a page belongs to nothing", repaired="a new store was made")

    factory.rescue = rescue  # type: ignore[attr-defined] # pyright: ignore[reportFunctionMemberAccess] -- as backends do
    scheme = f"reached-{healed}".lower()
    register_backend(scheme, factory)
    assert not diagnose(f"{scheme}:///{damaged}").is_healthy
    assert damaged.exists()
    mended = diagnose(f"{scheme}:///{damaged}", repair=True)
    assert mended.findings == [Finding("structure", "a page belongs to nothing", repaired="a new store was made")]
    assert mended.is_healthy is healed
