"""Search: other terms, other texts, another logic."""

import re
from collections.abc import Iterator

import attrs

from sessionkit import SessionMetadata, SessionQuery, decode_message
from tests.mutants.declared import Memory, caught_by


@caught_by("search.text-of-messages")
class SearchesRawJson(Memory):
    """The stored JSON is searched, with its keys, roles and ids."""

    def _texts(self, session_key: str) -> Iterator[str]:
        return (stored.raw.decode() for stored in self._messages(session_key))


@caught_by("search.text-of-messages")
class SearchesContentsOnly(Memory):
    """Contents that are blocks, and tool calls, are not searched."""

    def _texts(self, session_key: str) -> Iterator[str]:
        contents = (decode_message(stored.raw).content for stored in self._messages(session_key))
        return (content for content in contents if isinstance(content, str))


@caught_by("search.all-terms-in-one-message")
class MatchesAcrossMessages(Memory):
    """The terms may be spread over the messages of a session."""

    def _texts(self, session_key: str) -> Iterator[str]:
        yield " ".join(super()._texts(session_key))


@caught_by("search.all-terms-in-one-message")
class MatchesAnyTerm(Memory):
    """One term of the keyword is enough."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        words = sorted(query.terms) or [""]
        everything = attrs.evolve(query, limit=None, offset=0)
        keys = {found.key for word in words for found in super(MatchesAnyTerm, self).search(_asking(everything, word))}
        return query.page(found for found in self.list_sessions_with_metadata() if found.key in keys)


@caught_by("search.word")
class MatchesSubstrings(Memory):
    """`LIKE '%word%'`: a part of a word is found."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        listed = (found for found in self.list_sessions_with_metadata() if query.admits(found))
        return query.page(found for found in listed if not query.terms or self._holds(found.key, query.terms))

    def _holds(self, session_key: str, terms: frozenset[str]) -> bool:
        return any(all(term in text.casefold() for term in terms) for text in self._texts(session_key))


@caught_by("search.word")
class MatchesPrefixes(MatchesSubstrings):
    """The index looks for words that begin with the term."""

    def _holds(self, session_key: str, terms: frozenset[str]) -> bool:
        texts = [text.casefold() for text in self._texts(session_key)]
        return any(all(re.search(rf"\b{re.escape(term)}", text) for term in terms) for text in texts)


@caught_by("search.folding")
class MatchesInLowerCase(MatchesSubstrings):
    """Words are compared in lower case, without NFKC and casefold."""

    def _holds(self, session_key: str, terms: frozenset[str]) -> bool:
        texts = [set(re.findall(r"\w+", text.lower())) for text in self._texts(session_key)]
        return any(terms <= words for words in texts)


@caught_by("search.unspaced-scripts")
class MatchesSpacedWords(MatchesSubstrings):
    """Words are what stands between spaces; a script without them is one word."""

    def _holds(self, session_key: str, terms: frozenset[str]) -> bool:
        wanted = {term for term in terms if term.isascii() or len(term) == 1}
        texts = [set(re.findall(r"\w+", text.casefold())) for text in self._texts(session_key)]
        return any(wanted <= words for words in texts)


@caught_by("search.keyword-is-data")
class ObeysOperators(Memory):
    """`OR` in a keyword is an operator."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        sides = (query.keyword or "").split(" OR ")
        keys = {found.key for side in sides for found in super(ObeysOperators, self).search(_asking(query, side))}
        return [found for found in self.list_sessions_with_metadata() if found.key in keys]


@caught_by("search.keyword-is-data")
class ObeysWildcards(MatchesSubstrings):
    """A star at the end of a word asks for all words that begin with it."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        self.starred = "*" in (query.keyword or "")
        return super().search(query)

    def _holds(self, session_key: str, terms: frozenset[str]) -> bool:
        if self.starred:
            return super()._holds(session_key, terms)
        return _asking(SessionQuery(), " ".join(terms)).matches(SessionMetadata(""), self._texts(session_key))


@caught_by("search.no-term-finds-all")
class NoTermFindsNothing(Memory):
    """A keyword of nothing but punctuation finds nothing."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        found = super().search(query)
        return [] if query.keyword and not query.terms else found


@caught_by("search.no-term-finds-all")
class FindsOnlyTalk(Memory):
    """Search joins messages, so that a session without any is never found."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        return [found for found in super().search(query) if found.message_count]


def _asking(query: SessionQuery, keyword: str) -> SessionQuery:
    """The same query for another keyword."""
    return attrs.evolve(query, keyword=keyword)
