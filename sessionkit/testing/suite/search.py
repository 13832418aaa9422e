"""Search: which messages match, right after every change."""

from typing import Any

from sessionkit import ChatMessage, SessionQuery, ToolCall
from sessionkit.testing.suite.base import Backend, SuiteBase, fill, old_session, say
from sessionkit.testing.suite.promises import promise

_SEARCH = ("search",)


class SearchBase(SuiteBase):
    """What every test of search asks."""

    def found(self, backend: Backend, keyword: str | None = None, **query: Any) -> list[str]:
        """The keys that a query finds, in their order."""
        asked = SessionQuery(keyword, **query)
        return [metadata.key for metadata in self.settled(lambda: backend.search(asked))]


class SearchPromises(SearchBase):
    """`search`: which messages match, right after every change; the same answer on every backend."""

    @promise("search.word", needs=_SEARCH)
    def test_words(self, backend: Backend) -> None:
        """A message matches when it holds the term, whole: `lph` and `alph` do not find `alpha`.

        If this fails: compare terms as `sessionkit.tokenize` gives them, not substrings, prefixes or stems.
        """
        fill(backend, "a", "Alpha, beta; gamma-delta (snake_case) v2.0")
        for keyword in ("alpha", "ALPHA", "beta", "gamma", "delta", "gamma-delta", "snake_case", "v2", "0", "v2.0"):
            assert self.found(backend, keyword) == ["a"], keyword
        for keyword in ("alph", "lpha", "alphas", "bet", "snake", "case", "v", "2", "gammadelta"):
            assert self.found(backend, keyword) == [], keyword

    @promise("search.all-terms-in-one-message", needs=_SEARCH)
    def test_all_terms_in_one_message(self, backend: Backend) -> None:
        """A message matches when it holds every term of the keyword, in any order; a session when one of its messages
        does.

        If this fails: terms spread over several messages of a session do not match.
        """
        fill(backend, "together", "beta and then alpha", "gamma")
        fill(backend, "apart", "alpha", "beta", "alpha gamma")
        assert self.found(backend, "alpha beta") == ["together"]
        assert self.found(backend, "alpha  beta alpha") == ["together"]
        assert sorted(self.found(backend, "alpha")) == ["apart", "together"]
        assert self.found(backend, "alpha gamma") == ["apart"]
        assert self.found(backend, "alpha beta gamma") == []

    @promise("search.folding", needs=_SEARCH)
    def test_folding(self, backend: Backend) -> None:
        """Terms are compared by NFKC and casefold: wide letters, ligatures, composed and decomposed, sharp s, Greek
        sigma.

        If this fails: use `sessionkit.tokenize` for what is stored and for what is asked.
        """
        alike = (
            ("\ufb01le", "file"),
            ("\uff21\uff22\uff23", "abc"),
            ("stra\u00dfe", "STRASSE"),
            ("caf\u00e9", "cafe\u0301"),
        )
        for text, keyword in (
            *alike,
            ("\u039f\u03b4\u03cc\u03c2", "\u03bf\u03b4\u03cc\u03c3"),
            ("\u2460", "1"),
            ("\u017fet", "set"),
        ):
            fill(backend, text, text)
            fill(backend, keyword, keyword)
            assert sorted(self.found(backend, keyword)) == sorted((text, keyword))
            assert sorted(self.found(backend, text)) == sorted((text, keyword))
        assert self.found(backend, "cafe") == []

    @promise("search.unspaced-scripts", needs=_SEARCH)
    def test_unspaced_scripts(self, backend: Backend) -> None:
        """Han, Hiragana, Katakana and Hangul are found by single characters and adjacent pairs; a longer query asks for
        its pairs.

        If this fails: each run is its characters and its adjacent pairs, see `sessionkit.tokenize`.
        """
        fill(backend, "a", "\u6771\u4eac\u90fd\u306b\u884c\u304f")
        fill(backend, "b", "\u4eac\u306e\u6771 \u90fd")
        fill(backend, "c", "\ud55c\uad6d\uc5b4 tokyo\u6771\u4eac")
        assert sorted(self.found(backend, "\u6771")) == ["a", "b", "c"]
        assert sorted(self.found(backend, "\u6771\u4eac")) == ["a", "c"]
        assert self.found(backend, "\u6771\u4eac\u90fd") == ["a"]
        assert self.found(backend, "\u4eac\u90fd") == ["a"]
        assert self.found(backend, "\u4eac\u6771") == []
        assert self.found(backend, "\u884c\u304f \u6771\u4eac") == ["a"]
        assert self.found(backend, "\uad6d\uc5b4") == ["c"]
        assert self.found(backend, "\u6771\u4eac tokyo") == ["c"]
        assert self.found(backend, "\u30ab") == []

    @promise("search.keyword-is-data", needs=_SEARCH)
    def test_a_keyword_is_data(self, backend: Backend) -> None:
        """A keyword is data: quotes, `*`, `%`, `OR`, `NEAR(` are no operators, and none is an error.

        If this fails: quote each term for the index, and bind it as a parameter.
        """
        fill(backend, "a", "alpha beta it's")
        fill(backend, "b", "gamma")
        for keyword in (
            '"alpha"',
            "'alpha'",
            "alpha*",
            "*alpha",
            "%alpha%",
            "alpha;--",
            "(alpha",
            "alpha)",
            "^alpha",
            "+alpha",
        ):
            assert self.found(backend, keyword) == ["a"], keyword
        for keyword in (
            "{alpha}",
            "alpha\\",
            "-alpha",
            "alpha:",
            '"beta alpha"',
            "alpha\0beta",
            "it's",
            '"',
            "alpha ~ beta",
        ):
            assert "a" in self.found(backend, keyword), keyword
        for keyword in (
            "alpha OR gamma",
            "alph*",
            "a%",
            "alpha NOT gamma",
            "NEAR(alpha beta)",
            "alpha AND beta",
            "content:alpha",
        ):
            assert self.found(backend, keyword) == [], keyword
        fill(backend, "a", "alpha AND gamma OR NOT NEAR beta")
        assert self.found(backend, "NEAR(alpha beta) OR gamma AND NOT") == ["a"]

    @promise("search.no-term-finds-all", needs=_SEARCH)
    def test_a_keyword_without_terms(self, backend: Backend) -> None:
        """No keyword, or one without any term, finds all sessions, those without messages too.

        If this fails: ask `SessionQuery.terms` whether there is anything to look for.
        """
        fill(backend, "a", "alpha")
        fill(backend, "b", "beta")
        fill(backend, "c", "gone")
        backend.remove_last("c")
        for keyword in (None, "", " ", "!?", "***", '"', "\U0001f600", "%"):
            assert sorted(self.found(backend, keyword)) == ["a", "b", "c"], keyword

    @promise("search.finds-all", needs=_SEARCH)
    def test_all_that_match_are_found(self, backend: Backend) -> None:
        """Search finds every session that matches, where no limit is given.

        If this fails: a page of an index is not all of it.
        """
        keys = [f"s{i}" for i in range(150)]
        for key in keys:
            fill(backend, key, "alpha")
        for keyword in ("alpha", None):
            assert sorted(self.found(backend, keyword)) == sorted(keys)
        assert sorted(self.found(backend, "alpha", key_prefix="s1")) == sorted(k for k in keys if k.startswith("s1"))

    @promise("search.text-of-messages", needs=_SEARCH)
    def test_what_is_searched(self, backend: Backend) -> None:
        """The searchable text is the content, the text of its blocks (inside `tool_result` too), names and arguments of
        tool calls.

        If this fails: index `ChatMessage.text`, and nothing else.
        """
        result = {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "resulting"}]}
        blocks: list[dict[str, Any]] = [
            {"type": "text", "text": "blocked"},
            {"type": "tool_use", "id": "hidden1", "name": "used", "input": {"city": "paris"}},
            result,
        ]
        backend.append("a", ChatMessage("assistant", blocks))
        call = ToolCall("hidden2", "calling", '{"arg": "argued"}')
        backend.append(
            "a", ChatMessage("assistant", None, tool_calls=(call,), reasoning="hidden3", extra={"x": "hidden4"})
        )
        for keyword in ("blocked", "used", "city paris", "resulting", "calling argued"):
            assert self.found(backend, keyword) == ["a"], keyword
        for keyword in ("hidden1", "hidden2", "hidden3", "hidden4", "assistant", "tool_result", "content"):
            assert self.found(backend, keyword) == [], keyword

    @promise("search.odd-texts", needs=_SEARCH)
    def test_texts_with_odd_characters(self, backend: Backend) -> None:
        """Terms are found beside NUL, line ends, emoji and in very long texts; very long terms are told apart.

        If this fails: an index may stop at NUL, or cut long terms.
        """
        fill(backend, "nul", "before\0after")
        fill(backend, "emoji", "left\U0001f600right\u2028next")
        fill(backend, "long", "word " * 50_000 + "needle")
        fill(backend, "term", "x" * 40_000 + "y")
        for keyword, key in (("after", "nul"), ("before", "nul"), ("right next left", "emoji"), ("needle", "long")):
            assert self.found(backend, keyword) == [key]
        assert self.found(backend, "x" * 40_000 + "y") == ["term"]
        assert self.found(backend, "x" * 40_000 + "z") == []
        assert self.found(backend, "x" * 40_000) == []

    @promise("search.after-append", needs=_SEARCH)
    def test_found_at_once(self, backend: Backend) -> None:
        """A call that starts after an append has returned finds the message.

        If this fails: an index that is filled late must be completed by what it does not hold yet.
        """
        for i in range(30):
            fill(backend, f"s{i % 3}", f"word{i} common")
            assert self.found(backend, f"word{i}") == [f"s{i % 3}"]
        assert sorted(self.found(backend, "common")) == ["s0", "s1", "s2"]

    @promise("search.after-remove_last", needs=_SEARCH)
    def test_not_found_when_removed(self, backend: Backend) -> None:
        """A removed message is no longer found; those before it are.

        If this fails: take it from the index too.
        """
        fill(backend, "a", "alpha", "beta")
        assert self.found(backend, "beta") == ["a"]
        backend.remove_last("a")
        assert self.found(backend, "beta") == []
        assert self.found(backend, "alpha") == ["a"]

    @promise("search.after-update_last", needs=("search", "update_last"))
    def test_found_as_updated(self, backend: Backend) -> None:
        """A replaced message is found by its new text, and not by its old one.

        If this fails: the old terms must leave the index.
        """
        fill(backend, "a", "zero", "alpha")
        for old, new in (("alpha", "beta"), ("beta", "gamma delta"), ("delta", "alpha")):
            backend.update_last("a", say(new))
            assert self.found(backend, old) == []
            assert self.found(backend, new) == ["a"]
        assert self.found(backend, "zero") == ["a"]

    @promise("search.after-clear_messages", needs=("search", "clear_messages"))
    def test_not_found_when_cleared(self, backend: Backend) -> None:
        """Cleared messages are no longer found; the session still is, by what is no message.

        If this fails: clear the index of that session, and of no other.
        """
        fill(backend, "a", "alpha")
        fill(backend, "b", "alpha")
        backend.clear_messages("a")
        assert self.found(backend, "alpha") == ["b"]
        assert self.found(backend, key_prefix="a") == ["a"]
        fill(backend, "a", "beta")
        assert self.found(backend, "alpha") == ["b"]
        assert self.found(backend, "beta") == ["a"]

    @promise("search.after-delete_session", needs=("search", "delete_session"))
    def test_not_found_when_deleted(self, backend: Backend) -> None:
        """A deleted session's messages are no longer found, not even when the session is created anew.

        If this fails: delete its search entries with it.
        """
        fill(backend, "a", "alpha")
        fill(backend, "b", "alpha")
        backend.delete_session("a")
        assert self.found(backend, "alpha") == ["b"]
        fill(backend, "a", "beta")
        fill(backend, "c", "gamma")
        assert self.found(backend, "alpha") == ["b"]

    @promise("search.after-cleanup", needs=("search", "SupportsRestore", "times"), native=("delete_session",))
    def test_not_found_when_cleaned_up(self, backend: Backend) -> None:
        """A session that was cleaned up is no longer found, not even where its key is used again.

        If this fails: `cleanup_stale` removes a session's entries as `delete_session` does.
        """
        old_session(backend, "a", hours=5)
        old_session(backend, "b", hours=0)
        assert backend.cleanup_stale(1) == 1
        fill(backend, "a", "beta")
        assert self.found(backend, "restored") == ["b"]
        assert self.found(backend, "beta") == ["a"]

    @promise("search.after-write", needs=("search", "SupportsWrite"))
    def test_found_as_written(self, backend: Backend) -> None:
        """Messages that `write` adds are found, those that it drops are not.

        If this fails: `write` changes the index as `append` and `remove_last` do.
        """
        backend.write("a", append=[say("alpha"), say("beta"), say("gamma")])
        backend.write("a", drop_last=2, append=[say("delta")])
        for keyword, keys in (("alpha", ["a"]), ("beta", []), ("gamma", []), ("delta", ["a"])):
            assert self.found(backend, keyword) == keys

    @promise("search.after-restore", needs=("search", "SupportsRestore"))
    def test_found_as_restored(self, backend: Backend) -> None:
        """Restored messages are found.

        If this fails: `restore` fills the index too.
        """
        old_session(backend, "a", hours=2)
        assert self.found(backend, "restored") == ["a"]

    @promise("search.after-thousands", needs=_SEARCH)
    def test_found_among_thousands(self, backend: Backend) -> None:
        """Every message of thousands is found, the oldest and the newest, and none that was changed or removed since.

        If this fails: look at where an index is filled in batches, and at what happens to messages in it.
        """
        total = 2_500
        for i in range(0, total, 100):
            added = [say(f"word{j} common") for j in range(i, i + 100)]
            key = f"s{i // 100 % 5}"
            if self.offers(backend, "SupportsWrite"):
                backend.write(key, append=added)
            else:
                fill(backend, key, *(f"word{j} common" for j in range(i, i + 100)))
        for i in (0, 1, 99, 100, 999, 1000, 1023, 1024, 1999, 2000, 2047, 2048, 2400, 2499):
            assert self.found(backend, f"word{i}") == [f"s{i // 100 % 5}"]
        assert sorted(self.found(backend, "common")) == [f"s{i}" for i in range(5)]
        for i in (2099, 2098):
            backend.remove_last("s0")
            assert self.found(backend, f"word{i}") == []
        backend.update_last("s0", say("changed"))
        assert self.found(backend, "word2097") == []
        assert self.found(backend, "changed") == ["s0"]
        assert self.found(backend, "word2096") == ["s0"]
        backend.clear_messages("s1")
        backend.delete_session("s2")
        for i in (100, 199, 2199, 200, 299, 2299):
            assert self.found(backend, f"word{i}") == []
        assert sorted(self.found(backend, "common")) == ["s0", "s3", "s4"]
        for i in (0, 300, 2399, 2499):
            assert self.found(backend, f"word{i}") == [f"s{i // 100 % 5}"]
