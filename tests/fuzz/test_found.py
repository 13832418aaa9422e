"""What fuzzing has found, each with the smallest input that shows it."""

import warnings
from pathlib import Path

import pytest

from sessionkit import BackendURL, ChatMessage, InvalidMessageError, decode_message, tokenize
from sessionkit.codec import decode_text
from sessionkit_jsonl import JSONLBackend
from sessionkit_jsonl.order import misplaced
from tests.fuzz import scripts
from tests.fuzz.source import HOSTILE
from tests.fuzz.targets import TARGETS

DEEP = b'{"role":"user","tool_metadata":' + b'{"a":' * 200 + b"1" + b"}" * 201
TWICE = b'{"role":"user","x":' + b"[" * 200 + b"]" * 200 + b',"x":null}'


@pytest.mark.parametrize("raw", [DEEP, TWICE], ids=["deep", "hidden by a repeated key"])
def test_what_is_too_deep_to_be_written_is_not_read(raw: bytes) -> None:
    """Or a message would come out of a store that can be put into none."""
    with pytest.raises(InvalidMessageError, match="nested deeper than 200"):
        decode_message(raw)
    with pytest.raises(InvalidMessageError, match="nested deeper than 200"):
        decode_text(raw)


def test_a_path_may_hold_an_at_sign_that_is_encoded() -> None:
    """As the error asks for it, where the sign stands bare."""
    url = BackendURL.parse("x://host/a%40b")
    assert (url.host, url.path) == ("host", "a@b")


@pytest.mark.parametrize("text", ["x://@host/p", "x://%2F/p", "x://a%2Fb"])
def test_a_url_that_is_shown_can_be_read_again(text: str) -> None:
    """An empty name of a user stays, and a slash in a host is none in the path."""
    url = BackendURL.parse(text)
    assert BackendURL.parse(str(url)) == url


def test_terms_are_those_of_the_contract() -> None:
    """Dots between Katakana were terms, and old kana were not taken character by character."""
    for character in [*HOSTILE, *map(chr, [*range(0x3000, 0x3100), *range(0x1AFF0, 0x1B170)])]:
        for text in (character, f"a{character}b", f"\u3042{character}\u3044"):
            assert tokenize(text) == scripts.terms(text)


HEADER = b'{"sessionkit":1,"session":{"key":"s","created_at":7}}\n'
DAMAGED_TWICE = [
    HEADER
    + b'{"role":","~":{"rev":5,"at":1790000000000000,"n":4,"turns":1,"pos":452,"prev":307,"meta":0}}\n'
    + b'{"role":","~":{"rev":6,"at":1790000000000000,"n":5,"turns":2,"calls":1,"pos":882,"prev":452,"meta":0}}\n\xef\n'
    + b'{"~":{"rev":4,"at":1790000000000000,"n":3,"turns":1,"pos":307,"prev":175,"meta":0},"messages":[{"role":""}]}\n',
]


@pytest.mark.parametrize("raw", DAMAGED_TWICE)
def test_a_line_below_damage_that_was_moved_there_does_not_tell_how_things_stand(tmp_path: Path, raw: bytes) -> None:
    """The tail and the whole file come to the same, and an append loses nothing that was loaded before it."""
    (tmp_path / "s.jsonl").write_bytes(raw)
    new = ChatMessage("user", "new")
    with JSONLBackend(tmp_path) as backend, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = backend.load("s")
        last = [each.message for each in backend.load_with_timestamps("s", last=1)]
        assert last == before[-1:]
        backend.append("s", new)
        assert backend.load("s") == [*before, new]


def test_lines_that_stay_in_place_do_so_whatever_follows() -> None:
    """Of two lines that can't both stand, the first does, also where one more is written below either."""
    one, other, more = (0, (4, 1, False)), (9, (3, 1, False)), (20, (5, 2, False))
    assert misplaced([one, other]) == misplaced([one, other, more]) == {9}


@pytest.mark.parametrize("raw", DAMAGED_TWICE)
def test_the_target_asks_the_same(raw: bytes) -> None:
    """Of the file as it was found."""
    TARGETS["jsonl"].run(b"\0" + raw)
