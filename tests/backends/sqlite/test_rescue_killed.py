"""A rescue that is killed at any step that changes a name: nothing of the damaged store is lost."""

import os
import sys
from pathlib import Path

import pytest

from sessionkit_sqlite.rescue import rescue_store
from tests.backends.sqlite.test_rescue import contents, live_copy

CHANGES = frozenset(("os.link", "os.remove", "os.rename", "shutil.rmtree"))  # as `sys.addaudithook` names them
KILLED, DONE = 9, 0


def killed_at(path: Path, step: int) -> bool:
    """Whether a rescue in a child was killed right before that step; or had ended before."""
    child = os.fork()
    if child == 0:
        steps = 0

        def die(event: str, _: object) -> None:
            nonlocal steps
            if event in CHANGES:
                if steps == step:
                    os._exit(KILLED)
                steps += 1

        try:
            sys.addaudithook(die)
            rescue_store(path)
            os._exit(DONE)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {KILLED, DONE}
    return status == KILLED


def stores(path: Path, name: str) -> list[tuple[bytes, bytes]]:
    """Each file of that name, with its log."""
    files = [file for file in path.parent.glob(name) if not file.name.endswith(("-wal", "-shm", "-lock"))]
    logs = [Path(f"{file}-wal") for file in files]
    return [(f.read_bytes(), log.read_bytes() if log.exists() else b"") for f, log in zip(files, logs, strict=True)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_killed_at_each_step(path: Path) -> None:
    """The damaged file is there with its log, under its old name or the new; and where any has the old one, it ends."""
    step, is_killed = 0, True
    while is_killed:
        folder = path.parent / str(step)
        folder.mkdir()
        target = folder / "a.db"
        live_copy(path.parent / f"{step}.db", target)
        data = target.read_bytes()
        target.write_bytes(bytes(100) + data[100:])
        damaged = stores(target, "a.db*")
        is_killed = killed_at(target, step)
        assert damaged[0] in stores(target, "a.db*")
        if target.exists() and target.read_bytes() == damaged[0][0]:
            rescue_store(target)
        if target.exists():
            assert [message.text for message in contents(target)["k"]] == ["in the file", "in the log", "last"]
            assert not list(folder.glob(".*/*.db")), "what the killed one left is gone"
        step += 1
    assert step > 6


def test_no_file_system_without_links_is_left_out(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file can't have two names, it is given the other one."""

    def refuse(*_: object) -> None:
        raise PermissionError

    live_copy(path, path.with_name("a.db"))
    path = path.with_name("a.db")
    data = path.read_bytes()
    path.write_bytes(bytes(100) + data[100:])
    damaged = stores(path, "a.db")
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", refuse)
        rescue_store(path)
    assert stores(path, "a.db.corrupt-*") == damaged
    assert len(contents(path)["k"]) == 3
