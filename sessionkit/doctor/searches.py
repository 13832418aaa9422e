"""Search against a naive scan, both ways: what is there must be found, and what is found must be there."""

import random

from sessionkit.doctor.asking import Patient, as_list
from sessionkit.doctor.sessions import mark_of
from sessionkit.messages import ChatMessage
from sessionkit.models import Finding, SessionMetadata, SessionQuery
from sessionkit.text import tokenize

_TERMS = 8
"""How many terms of a message to ask for at a time: the longest, which are the rarest."""

_OTHERS = 3
"""How many of the sessions that a search of the whole store finds are loaded, to see whether they should be."""

_NOWHERE = "sessionkitdoctorasksforwhatnobodysays"

_FORGETS = "a search for words of one of its messages does not find the session"
_INVENTS = "a search for words that no message of the session holds finds it"


def look_at_search(
    patient: Patient, key: str, messages: list[ChatMessage], asked: int, *, everywhere: bool
) -> list[Finding]:
    """Ask for what some messages of the session say, and for what no single one of them says.

    Args:
        patient: what is examined.
        key: the session.
        messages: all of it, as loaded.
        asked: how many messages to ask for: the newest, the oldest, and others by chance, the same ones each time.
        everywhere: ask the whole store for one of them too, which may cost as much as to read all of it.
    """
    texts = [message.text for message in messages]
    queries = [_keyword(text) for text in _chosen(key, [text for text in texts if tokenize(text)], asked)]
    if not queries:
        return []
    together = " ".join(queries)
    found = [
        one
        for keyword in dict.fromkeys((*queries, together))
        for one in _compared(patient, key, texts, SessionQuery(keyword, key_prefix=key))
    ]
    return list(dict.fromkeys(found)) + (look_everywhere(patient, queries[-1]) if everywhere else [])


def look_everywhere(patient: Patient, keyword: str = _NOWHERE) -> list[Finding]:
    """Ask the whole store, by default for what nobody says: the sessions that are found must match."""
    query = SessionQuery(keyword, limit=_OTHERS)
    found: list[Finding] = []
    for metadata in as_list(patient.ask("search", query).value):
        key: str = metadata.key

        def look(key: str = key) -> list[Finding]:
            return _compared(patient, key, [message.text for message in as_list(patient.ask("load", key).value)], query)

        found += patient.agreed(key, mark_of(patient, key), look)
    return found


def _chosen(key: str, texts: list[str], asked: int) -> list[str]:
    """The newest, the oldest, and others by chance."""
    if len(texts) <= asked:
        return texts
    between = random.Random(key).sample(texts[1:-1], max(0, asked - 2))  # noqa: S311 -- no secret
    return [texts[-1], texts[0], *between][:asked]


def _keyword(text: str) -> str:
    return " ".join(sorted(tokenize(text), key=lambda term: (-len(term), term))[:_TERMS])


def _compared(patient: Patient, key: str, texts: list[str], query: SessionQuery) -> list[Finding]:
    """The query, and whether it finds the session as it should; with a limit, that it does not says nothing."""
    wanted = query.matches(SessionMetadata(key), texts)
    answer = patient.ask("search", query)
    if answer.value is None:
        return answer.findings
    is_found = key in {metadata.key for metadata in as_list(answer.value)}
    if is_found is wanted or (wanted and query.limit is not None):
        return []
    return [Finding("index", _FORGETS if wanted else _INVENTS, key)]
