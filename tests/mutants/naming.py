"""Names, aliases and contexts that are lost, merged wrongly, or create what they must not."""

from typing import Any

import attrs

from sessionkit import ChatMessage, SessionContext, SessionMetadata, SessionQuery
from tests.mutants.declared import Memory, caught_by


@caught_by("name.empty-clears", "name.in-metadata")
class KeepsEmptyNames(Memory):
    """An empty name is stored as a name."""

    def set_session_name(self, session_key: str, name: str, /) -> None:
        super().set_session_name(session_key, name)
        if name == "":
            self.record(session_key).name = ""


@caught_by("name.set-and-get")
class KeepsTheFirstName(Memory):
    """`INSERT OR IGNORE`: a second name is ignored."""

    def set_session_name(self, session_key: str, name: str, /) -> None:
        if not self.get_session_name(session_key) or not name:
            super().set_session_name(session_key, name)


@caught_by("name.set-and-get")
class CutsNames(Memory):
    """A name is cut at 255 characters."""

    def set_session_name(self, session_key: str, name: str, /) -> None:
        super().set_session_name(session_key, name[:255])


@caught_by("name.set-and-get")
class PretendsToName(Memory):
    """Names are not supported, but the method is overridden to do nothing, instead of left to warn."""

    def set_session_name(self, session_key: str, name: str, /) -> None:
        if name and not self.get_session_metadata(session_key):
            self.record(session_key)


@caught_by("name.empty-creates-nothing", "naming.clearing-creates-nothing")
class EmptyNameCreates(Memory):
    """Clearing the name of an unknown session creates it."""

    def set_session_name(self, session_key: str, name: str, /) -> None:
        self.record(session_key)
        super().set_session_name(session_key, name)


@caught_by("name.and-alias-apart")
class SharesOneColumn(Memory):
    """The alias is kept where the name is."""

    def set_session_agent_alias(self, session_key: str, alias: str, /) -> None:
        super().set_session_agent_alias(session_key, alias)
        self.set_session_name(session_key, alias)


@caught_by("name.outlives-messages")
class AppendLosesTheName(Memory):
    """`INSERT OR REPLACE` of the session's row at each append: what it does not mention is gone."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        self.record(session_key).name = None


@caught_by("clear.keeps-metadata")
class ClearingLosesTheName(Memory):
    """`clear_messages` deletes the session and creates it anew."""

    def clear_messages(self, session_key: str, /) -> int:
        removed = super().clear_messages(session_key)
        if removed:
            self.record(session_key).name = None
        return removed


@caught_by("name.unknown-is-none", "alias.unknown-is-none")
class GivesEmptyNames(Memory):
    """The name of a session without one is an empty text."""

    def get_session_name(self, session_key: str, /) -> str | None:
        return super().get_session_name(session_key) or ""

    def get_session_agent_alias(self, session_key: str, /) -> str | None:
        return super().get_session_agent_alias(session_key) or ""


@caught_by("name.creates-session", "alias.creates-session")
class NamesOnlyWhatIsThere(Memory):
    """`UPDATE ... WHERE key = ?` changes no row of a session that has no message yet."""

    def _set_text(self, session_key: str, field: str, value: str) -> None:
        if self._found(session_key):
            super()._set_text(session_key, field, value)


@caught_by("context.creates-session")
class PlacesOnlyWhatIsThere(Memory):
    """The context of a session that has no message yet is lost."""

    def set_session_context(self, session_key: str, context: SessionContext, /) -> None:
        if self._found(session_key):
            super().set_session_context(session_key, context)


@caught_by("alias.set-and-get")
class TrimsAliases(Memory):
    """Spaces around an alias are dropped."""

    def set_session_agent_alias(self, session_key: str, alias: str, /) -> None:
        super().set_session_agent_alias(session_key, alias.strip())


@caught_by("alias.empty-clears", "alias.in-metadata")
class NeverClearsAliases(Memory):
    """An empty alias is taken for none given: `if alias`."""

    def set_session_agent_alias(self, session_key: str, alias: str, /) -> None:
        if alias:
            super().set_session_agent_alias(session_key, alias)


@caught_by("alias.empty-creates-nothing")
class EmptyAliasCreates(Memory):
    """Clearing the alias of an unknown session creates it."""

    def set_session_agent_alias(self, session_key: str, alias: str, /) -> None:
        self.record(session_key)
        super().set_session_agent_alias(session_key, alias)


@caught_by("context.none-leaves")
class NoneClearsContext(Memory):
    """A field of the context that is not given is cleared."""

    def set_session_context(self, session_key: str, context: SessionContext, /) -> None:
        if self._found(session_key):
            context = SessionContext(
                context.channel_id or "", context.room_id or "", context.sender_id or "", context.attributes
            )
        super().set_session_context(session_key, context)


@caught_by("context.empty-text-clears")
class EmptyTextLeavesContext(Memory):
    """An empty text is taken for nothing given: `if context.channel_id`."""

    def set_session_context(self, session_key: str, context: SessionContext, /) -> None:
        given = SessionContext(
            context.channel_id or None, context.room_id or None, context.sender_id or None, context.attributes
        )
        super().set_session_context(session_key, given)


@caught_by("context.attributes-merge")
class ReplacesAttributes(Memory):
    """New attributes replace the old ones."""

    def set_session_context(self, session_key: str, context: SessionContext, /) -> None:
        if context.attributes and self._found(session_key):
            self.record(session_key).attributes = {}
        super().set_session_context(session_key, context)


@caught_by("context.attributes-merge")
class MergesDeeply(Memory):
    """Attributes are merged at every level, as by `json_patch`."""

    def set_session_context(self, session_key: str, context: SessionContext, /) -> None:
        found = self._found(session_key)
        before: dict[str, Any] = dict(found.record.attributes) if found else {}
        deep = {
            name: {**before[name], **value} if isinstance(value, dict) and isinstance(before.get(name), dict) else value
            for name, value in context.attributes.items()
        }
        super().set_session_context(session_key, attrs.evolve(context, attributes=deep))


@caught_by("context.none-removes-attribute")
class StoresNullAttributes(Memory):
    """An attribute set to None is stored as null."""

    def set_session_context(self, session_key: str, context: SessionContext, /) -> None:
        super().set_session_context(session_key, context)
        if self._found(session_key):
            nulls = {name: None for name, value in context.attributes.items() if value is None}
            self.record(session_key).attributes.update(nulls)


@caught_by("context.shares-nothing")
class KeepsCallersAttributes(Memory):
    """The attributes are kept as the caller's own objects."""

    def set_session_context(self, session_key: str, context: SessionContext, /) -> None:
        super().set_session_context(session_key, context)
        if context.attributes:
            self.record(session_key).attributes.update(context.attributes)


class _Remembers(Memory):
    """Keeps metadata, and gives the same objects while nothing changes."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[object, SessionMetadata] = {}

    def remembered(self, found: list[SessionMetadata]) -> list[SessionMetadata]:
        """The objects that were given before, where they are equal."""
        return [self.known.setdefault(repr(attrs.evolve(each, attributes={})), each) for each in found]


@caught_by("context.shares-nothing")
class SearchSharesMetadata(_Remembers):
    """`search` answers from a cache of metadata, whose attributes are everybody's."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        return self.remembered(super().search(query))


@caught_by("context.shares-nothing")
class RunningSharesMetadata(_Remembers):
    """Running sessions are kept in a table in memory, whose rows are handed out."""

    def list_running_sessions(self) -> list[SessionMetadata]:
        return self.remembered(super().list_running_sessions())


@caught_by("context.empty-creates-nothing")
class EmptyContextCreates(Memory):
    """A context creates the session, even one that says nothing."""

    def set_session_context(self, session_key: str, context: SessionContext, /) -> None:
        super().set_session_context(session_key, context)
        self.record(session_key)


@caught_by("context.clearing-creates-nothing")
class ClearingContextCreates(Memory):
    """A context that only clears something creates the session to clear it in."""

    def set_session_context(self, session_key: str, context: SessionContext, /) -> None:
        super().set_session_context(session_key, context)
        if context != SessionContext():
            self.record(session_key)


@caught_by("context.refuses-not-json")
class SetsContextInParts(Memory):
    """The fields are stored before the attributes turn out not to be storable."""

    def set_session_context(self, session_key: str, context: SessionContext, /) -> None:
        super().set_session_context(session_key, attrs.evolve(context, attributes={}))
        super().set_session_context(session_key, context)


@caught_by("context.any-text")
class FoldsContexts(Memory):
    """Channels are kept in lower case, as by some chat services."""

    def set_session_context(self, session_key: str, context: SessionContext, /) -> None:
        channel = context.channel_id
        super().set_session_context(session_key, attrs.evolve(context, channel_id=channel and channel.lower()))


@caught_by("context.attributes-exact")
class KeepsAttributesAsTexts(Memory):
    """The values of attributes are kept as texts."""

    def set_session_context(self, session_key: str, context: SessionContext, /) -> None:
        super().set_session_context(session_key, context)
        if self._found(session_key):
            attributes = self.record(session_key).attributes
            texts = {name: str(value) for name, value in attributes.items() if isinstance(value, int | float)}
            attributes.update(texts, numbers=str(attributes.get("numbers")))
