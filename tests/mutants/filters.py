"""Search: other filters, another order, pages cut wrongly."""

import re
from typing import Any

import attrs

from sessionkit import SessionMetadata, SessionQuery
from tests.mutants.declared import Memory, caught_by


@caught_by("search.offset-and-limit")
class LimitsBeforeTheOffset(Memory):
    """`limit` is applied first, then `offset`."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        return super().search(attrs.evolve(query, offset=0))[query.offset :]


@caught_by("search.offset-and-limit")
class PagesBeforeItMatches(Memory):
    """A page of sessions is read, and then searched."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        page = {metadata.key for metadata in query.page(self.list_sessions_with_metadata())}
        return [found for found in super().search(attrs.evolve(query, offset=0, limit=None)) if found.key in page]


@caught_by("search.offset-and-limit")
class TakesLimitZeroForNone(Memory):
    """`if query.limit`: a limit of 0 is no limit."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        return super().search(attrs.evolve(query, limit=query.limit or None))


@caught_by("search.order")
class RanksByRelevance(Memory):
    """What holds the word most often comes first."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        def hits(found: SessionMetadata) -> int:
            return sum(text.count(query.keyword or "\0") for text in self._texts(found.key))

        return sorted(super().search(query), key=hits, reverse=True)


@caught_by("search.ties-by-key")
class BreaksTiesBackwards(Memory):
    """`ORDER BY last_activity DESC, key DESC`."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        found = super().search(attrs.evolve(query, offset=0, limit=None))[::-1]
        return query.page(sorted(found, key=lambda each: each.last_activity or 0, reverse=True))


@caught_by("search.gives-metadata")
class FindsOncePerMessage(Memory):
    """A session comes once for each message that matches."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        found = super().search(query)
        return [each for each in found for _ in range(each.message_count if query.terms else 1)]


@caught_by("search.filters-narrow")
class JoinsFiltersByOr(Memory):
    """One filter that holds is enough."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        if not (query.key_prefix and query.agent_alias):
            return super().search(query)
        either = attrs.evolve(query, key_prefix=None), attrs.evolve(query, agent_alias=None)
        keys = {found.key for one in either for found in super(JoinsFiltersByOr, self).search(one)}
        return [found for found in self.list_sessions_with_metadata() if found.key in keys]


@caught_by("search.active-since-until")
class UntilIsInclusive(Memory):
    """`active_until` finds a session of that very moment."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        until = query.active_until
        found = super().search(attrs.evolve(query, active_until=None))
        return [each for each in found if until is None or (each.last_activity or until) <= until]


@caught_by("search.active-since-until")
class SinceIsExclusive(Memory):
    """`active_since` leaves a session of that very moment out."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        return [found for found in super().search(query) if found.last_activity != query.active_since]


@caught_by("search.active-since-until")
class ComparesSeconds(Memory):
    """Times are compared in whole seconds."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        since = query.active_since and query.active_since.replace(microsecond=0)
        return super().search(attrs.evolve(query, active_since=since))


@caught_by("search.active-since-until")
class ComparesTimesAsTexts(Memory):
    """Times are compared as ISO texts, whatever timezone they are in."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        since = getattr(query, "active_since", None)
        if since is None:
            return super().search(query)
        found = super().search(attrs.evolve(query, active_since=None))
        return [each for each in found if each.last_activity and each.last_activity.isoformat() >= since.isoformat()]


@caught_by("search.finds-all")
class FindsOnePage(Memory):
    """An index gives its hundred best, where nobody asked for a limit."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        return super().search(query)[:100]


@caught_by("search.key-prefix")
class PrefixIsAPattern(Memory):
    """`key LIKE prefix || '%'`: `_` and `%` stand for anything."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        pattern = re.escape(query.key_prefix or "").replace("%", ".*").replace("_", ".")
        found = super().search(attrs.evolve(query, key_prefix=None))
        return [each for each in found if re.match(pattern, each.key, re.DOTALL)]


@caught_by("search.attributes")
class TrueIsOne(Memory):
    """Attributes are compared as Python does, to which True is 1."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        wanted = query.attributes
        found = super().search(attrs.evolve(query, attributes={}))
        return [each for each in found if all(each.attributes.get(name) == wanted[name] for name in wanted)]


@caught_by("search.attributes")
class NoneIsWhatIsAbsent(Memory):
    """`attributes.get(name) == None`: a query for null finds whoever has no such attribute."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        if not isinstance(query, SessionQuery):
            return super().search(query)
        there = {name: value for name, value in query.attributes.items() if value is not None}
        found = super().search(attrs.evolve(query, attributes=there))
        return [each for each in found if not query.attributes.keys() - there.keys() & each.attributes.keys()]


@caught_by("search.attributes")
class ComparesAttributesAsTexts(Memory):
    """Attributes are compared as texts: 1 is found as "1"."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        wanted = {name: str(value) for name, value in query.attributes.items()}
        found = super().search(attrs.evolve(query, attributes={}))
        return [each for each in found if wanted.items() <= {n: str(v) for n, v in each.attributes.items()}.items()]


@caught_by("search.agent-alias", "search.channel", "search.room", "search.sender", "search.state")
class FoldsFilters(Memory):
    """The columns of the filters have a collation that ignores case."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        unfiltered: dict[str, Any] = dict.fromkeys(("agent_alias", "channel_id", "room_id", "sender_id", "state"))
        found = super().search(attrs.evolve(query, **unfiltered))
        for field in unfiltered:
            wanted = getattr(query, field)
            if wanted is not None:
                found = [each for each in found if (getattr(each, field) or "").lower() == wanted.lower()]
        return found
