"""The proofs of the check, the rescue and the place of the file are proofs: what is broken on purpose fails them."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessionkit import SessionKitError
from sessionkit.clock import now
from sessionkit_sqlite import (
    SQLiteBackend,
    check_files,
    check_index,
    check_orphans,
    check_sessions,
    check_structure,
    checking,
    log,
    place,
    rescue,
    salvage,
)
from sessionkit_sqlite.pages import Pages
from tests.backends.sqlite import test_checking, test_log, test_place, test_rescue

Break = Callable[[pytest.MonkeyPatch], object]
Proof = Callable[[Path, pytest.MonkeyPatch], object]


def _nothing(*_: Any, **__: Any) -> Any:
    return []


def _replaced(target: object, name: str, by: Any) -> Break:
    return lambda patch: patch.setattr(target, name, by)


def _damage(name: str) -> Proof:
    return lambda path, _: test_checking.test_a_damage_is_found_and_mended(path, name)


def _only_looks(store: Any, *, repair: bool) -> Any:
    del repair
    return checking._findings(store, repair=False)


def _deletes_orphans(connection: Any, mend: bool) -> Any:  # noqa: FBT001 -- as each step
    if mend:
        connection.execute("DELETE FROM messages WHERE id >> 32 NOT IN (SELECT number FROM sessions)")
    return check_orphans.check_orphans(connection, mend)


def _believes_every_page(self: Any, table: str) -> Any:
    for number in [*self._leaves[table], *self._strays]:
        for row, values in self.pages.rows(number):
            if values is not None and salvage._is_row_of(table, values):
                yield row, values


def _deletes_damaged(path: Path, new: Path) -> Path:
    new.replace(path)
    return path


_LEFT = "a file left over"
MUTANTS: dict[str, tuple[Break, Proof]] = {
    "a check that ignores the index": (
        _replaced(checking, "check_index", _nothing),
        _damage("an index that says too much"),
    ),
    "a check of one way only": (
        _replaced(check_index, "_there", check_index._wanted),
        _damage("an index that says too little"),
    ),
    "a check that believes the counts": (
        _replaced(check_sessions._Session, "_compare", _nothing),
        _damage("a count too many"),
    ),
    "a check that knows no orphans": (
        _replaced(checking, "check_orphans", _nothing),
        _damage("a session without a row"),
    ),
    "a check that looks at no times": (
        _replaced(check_sessions._Session, "_look_at_times", lambda *_, **__: now()),
        _damage("an early message"),
    ),
    "a check that takes any column": (
        _replaced(check_sessions, "_damaged_columns", _nothing),
        _damage("attributes that are none"),
    ),
    "a check that trusts SQLite": (_replaced(checking, "check_structure", _nothing), _damage("no trigger")),
    "a check that looks at no row of store": (
        _replaced(check_structure, "_once", _nothing),
        _damage("two rows in store"),
    ),
    "a check without files": (_replaced(checking, "check_files", _nothing), _damage(_LEFT)),
    "a check that leaves what is left over": (
        _replaced(check_files, "_LEFT_OVER", re.compile("never")),
        _damage(_LEFT),
    ),
    "a repair that only looks": (
        _replaced(SQLiteBackend, "check", lambda self, *, repair=False: _only_looks(self._store, repair=repair)),
        _damage("a turn too few"),
    ),
    "a repair that deletes orphans": (
        _replaced(checking, "check_orphans", _deletes_orphans),
        lambda path, _: test_checking.test_messages_without_a_session_get_one(path),
    ),
    "a repair that forgets damaged values": (
        _replaced(check_sessions, "keep_values", _nothing),
        lambda path, _: test_checking.test_damaged_values_are_kept_with_the_session(path),
    ),
    "a repair that keeps the last damaged value only": (
        _replaced(json, "loads", lambda _: []),
        lambda path, _: test_checking.test_damaged_values_are_kept_with_the_session(path),
    ),
    "a repair that gives a revision again": (
        _replaced(check_sessions, "_highest_revision", lambda _: 0),
        lambda path, _: test_checking.test_a_lost_revision_is_above_all_others(path),
    ),
    "a repair of damaged pages": (
        _replaced(checking, "is_unsound", lambda _: False),
        lambda path, _: test_checking.test_what_sqlite_finds_damaged_is_left_for_a_rescue(path, "terms_data"),
    ),
    "a rescue that follows the tree only": (
        _replaced(salvage.Salvage, "_find_strays", _nothing),
        lambda path, _: test_rescue.test_what_leads_to_the_rows_may_be_lost(path, "every inner page is lost"),
    ),
    "a rescue that believes every page": (
        lambda patch: (
            patch.setattr(salvage.Salvage, "rows", _believes_every_page),
            patch.setattr(Pages, "free", lambda _: set()),
        ),
        lambda path, _: test_rescue.test_deleted_rows_stay_deleted(path),
    ),
    "a rescue that asks for no range": (
        _replaced(salvage.Salvage, "rows", _believes_every_page),
        lambda path, _: test_rescue.test_stray_pages_count_only_for_what_was_lost(path),
    ),
    "a rescue that forgets the log": (
        _replaced(Pages, "_read_log", lambda _: 0),
        lambda path, _: test_rescue.test_a_log_belongs_to_the_file(path, 2, 0),
    ),
    "a rescue that gives revisions again": (
        _replaced(rescue, "_JUMP", 0),
        lambda path, _: test_rescue.test_revisions_do_not_come_again(path),
    ),
    "a rescue that deletes the damaged file": (
        _replaced(rescue, "_put_in_place", _deletes_damaged),
        lambda path, _: test_rescue.test_what_leads_to_the_rows_may_be_lost(path, "the header is lost"),
    ),
    "a writer that never looks at its file": (
        _replaced(place.Place, "check", _nothing),
        lambda path, patch: _with_store(
            path,
            lambda b: test_place.test_a_file_that_is_gone_is_said(path, b, "append", "deleted", patch, portable=False),
        ),
    ),
    "a writer that asks for a name only": (
        _replaced(place.Place, "check_path", lambda self: None if self.path.exists() else place.Place.hold(self)),
        lambda path, patch: _with_store(
            path,
            lambda b: test_place.test_a_file_that_is_gone_is_said(path, b, "append", "replaced", patch, portable=False),
        ),
    ),
    "a writer that never begins its log anew": (
        _replaced(log, "_copy", lambda *_: False),
        lambda path, patch: test_log.test_overlapping_readers_keep_no_log_growing(path, patch, "append"),
    ),
}


def _with_store(path: Path, proof: Callable[[SQLiteBackend], object]) -> None:
    with SQLiteBackend(path) as backend:
        proof(backend)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_broken_check_is_killed(path: Path, monkeypatch: pytest.MonkeyPatch, mutant: str) -> None:
    """The one that is made for it."""
    do, proof = MUTANTS[mutant]
    do(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception, SessionKitError)):
        proof(path, monkeypatch)
