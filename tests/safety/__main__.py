"""``python -m tests.safety``: the fuzzing and the races of this folder, for as long as you like, and what they found.

Exit status: 0 where everything held, 1 where something did not.
"""

import argparse
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import hypothesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st

from sessionkit import BackendURL, BackendURLError, open_backend
from sessionkit.registry import BUILT_IN
from sessionkit.secret import Secret
from sessionkit.weighing import is_too_deep
from sessionkit_jsonl.names import file_name
from tests.places import url_of
from tests.safety.hostile import keys, keywords, words
from tests.safety.test_depth import depth_of, json_values
from tests.safety.test_injection import forged, no_text_becomes_a_record
from tests.safety.test_keys import keys_stay_apart, names_stay_apart
from tests.safety.test_links import swapped_while_written
from tests.safety.test_queries import filled, finds_what_a_scan_finds

Proof = Callable[[Path, st.DataObject], object]


def _names(_folder: Path, data: st.DataObject) -> None:
    names_stay_apart(file_name, data.draw(keys), data.draw(keys))


def _stores(folder: Path, data: st.DataObject) -> None:
    keys_stay_apart(
        data.draw(st.sampled_from(sorted(BUILT_IN))), folder, data.draw(st.lists(keys, min_size=1, max_size=8))
    )


def _queries(folder: Path, data: st.DataObject) -> None:
    texts = {f"k{i}": [text] for i, text in enumerate(data.draw(st.lists(words, min_size=1, max_size=6)))}
    scheme = data.draw(st.sampled_from(sorted(BUILT_IN)))
    with filled(open_backend(url_of(scheme, folder)), texts, indexed=data.draw(st.booleans())) as backend:
        for keyword in data.draw(st.lists(keywords, min_size=1, max_size=10)):
            finds_what_a_scan_finds(backend, texts, keyword)


def _depths(_folder: Path, data: st.DataObject) -> None:
    import json  # noqa: PLC0415 -- by other code than what is tested

    value, most = data.draw(json_values), data.draw(st.integers(1, 9))
    assert is_too_deep(json.dumps(value, ensure_ascii=data.draw(st.booleans())), most) is (depth_of(value) > most)


def _records(folder: Path, data: st.DataObject) -> None:
    no_text_becomes_a_record(folder / "store", data.draw(forged))


def _urls(_folder: Path, data: st.DataObject) -> None:
    text = data.draw(st.text())
    with suppress(BackendURLError):
        url = BackendURL.parse(f"memory://me:{text}@host/{data.draw(st.text(max_size=9))}")
        assert url.password is None or repr(url.password) == repr(Secret(text))


def _races(folder: Path, data: st.DataObject) -> None:
    swapped_while_written(folder, data.draw(st.integers(5, 40)))


PROOFS: dict[str, Proof] = {
    "two keys share no name, on nine file systems": _names,
    "keys stay apart in a store, and in it": _stores,
    "keywords find what a scan finds": _queries,
    "the depth of JSON is told from its bytes": _depths,
    "no text becomes a record": _records,
    "a URL hides its password": _urls,
    "a link that is swapped in is not followed": _races,
}


def tried(proof: Proof, seed: int, seconds: float) -> Iterator[int]:
    """How often it held, a batch at a time, until the seconds are over."""
    until = time.monotonic() + seconds
    count = 0

    @given(st.data())
    def check(data: st.DataObject) -> None:
        nonlocal count
        with tempfile.TemporaryDirectory() as folder:
            proof(Path(folder), data)
        count += 1

    settled = hypothesis.settings(
        max_examples=50,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )(check)
    while time.monotonic() < until:
        hypothesis.seed(seed)(settled)()
        seed += 1
        yield count


def main() -> int:
    """Try all of them in turn; gives the exit status."""
    parser = argparse.ArgumentParser("python -m tests.safety", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long, for all of them together (default: 60)")
    parser.add_argument("--seed", type=int, help="what is tried; a random one where there is none")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    print(f"Hostile input, seed {seed}")  # noqa: T201 -- a command prints
    broken = 0
    for what, proof in PROOFS.items():
        count = 0
        try:
            for count in tried(proof, seed, options.seconds / len(PROOFS)):  # noqa: B007 -- the last one is told
                pass
            print(f"held  {count:>8,} times: {what}")  # noqa: T201 -- likewise
        except Exception:  # noqa: BLE001 -- whatever it raised is what was found
            broken += 1
            print(f"BROKEN after {count:,} times: {what}\n{traceback.format_exc()}")  # noqa: T201 -- likewise
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
