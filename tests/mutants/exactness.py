"""Messages that come back changed, or that are changed so as to be stored."""

import json
import unicodedata
from datetime import UTC
from typing import Any

import attrs
import msgspec

from sessionkit import ChatMessage
from tests.mutants.declared import Memory, caught_by


@caught_by("messages.provider-shapes", "messages.round-trip")
class DropsUnknownFields(Memory):
    """Only the columns that somebody thought of are stored; what a provider adds is lost."""

    def _encoded(self, message: ChatMessage) -> bytes:
        super()._encoded(message)
        return super()._encoded(attrs.evolve(message, extra={}))


@caught_by("messages.null-is-not-absent")
class DropsNulls(Memory):
    """An explicit null is left out, as by `exclude_none`."""

    def _encoded(self, message: ChatMessage) -> bytes:
        super()._encoded(message)
        kept = {name: value for name, value in message.extra.items() if value is not None}
        return super()._encoded(attrs.evolve(message, extra=kept))


@caught_by("messages.null-is-not-absent", "messages.hostile-texts")
class TakesEmptyForNone(Memory):
    """An empty text is stored as no text, by `content or None`."""

    def _encoded(self, message: ChatMessage) -> bytes:
        super()._encoded(message)
        return super()._encoded(attrs.evolve(message, content=message.content if message.content != "" else None))


@caught_by("messages.numbers")
class RoundsIntegers(Memory):
    """Integers past 53 bits become floats, as in a JSON column or in JavaScript."""

    def _encoded(self, message: ChatMessage) -> bytes:
        def rounded(digits: str) -> float:
            return float(digits) if 16 < len(digits) < 300 else int(digits)

        return json.dumps(json.loads(super()._encoded(message), parse_int=rounded)).encode()


@caught_by("messages.numbers")
class ShortensFloats(Memory):
    """1.0 is stored as 1."""

    def _encoded(self, message: ChatMessage) -> bytes:
        def shortened(digits: str) -> float:
            return int(float(digits)) if float(digits).is_integer() else float(digits)

        return json.dumps(json.loads(super()._encoded(message), parse_float=shortened)).encode()


@caught_by("messages.hostile-texts")
class CutsAtNul(Memory):
    """A text ends at its first NUL, as in C."""

    def _encoded(self, message: ChatMessage) -> bytes:
        super()._encoded(message)
        content = message.content
        return super()._encoded(
            attrs.evolve(message, content=content.partition("\0")[0] if isinstance(content, str) else content)
        )


@caught_by("messages.hostile-texts")
class NormalisesTexts(Memory):
    """Texts are brought into NFC on their way in."""

    def _encoded(self, message: ChatMessage) -> bytes:
        return unicodedata.normalize("NFC", super()._encoded(message).decode()).encode()


@caught_by("messages.hostile-texts")
class TranslatesLineEnds(Memory):
    """A file opened in text mode turns CR LF into LF."""

    def _encoded(self, message: ChatMessage) -> bytes:
        return super()._encoded(message).replace(rb"\r\n", rb"\n")


@caught_by("messages.every-field", "messages.provider-shapes")
class LosesToolCalls(Memory):
    """The tool calls are in a table of their own, which nobody joins."""

    def _encoded(self, message: ChatMessage) -> bytes:
        super()._encoded(message)
        return super()._encoded(attrs.evolve(message, tool_calls=()))


@caught_by("messages.timestamps", "messages.every-field")
class KeepsWholeSeconds(Memory):
    """A message's timestamp is kept in whole seconds."""

    def _encoded(self, message: ChatMessage) -> bytes:
        super()._encoded(message)
        moment = message.timestamp
        return super()._encoded(attrs.evolve(message, timestamp=moment and moment.replace(microsecond=0)))


@caught_by("append.refuses-not-json", "update_last.refuses-not-json")
class TurnsNanIntoNull(Memory):
    """NaN and infinity become null, as fast encoders have it."""

    def _encoded(self, message: ChatMessage) -> bytes:
        if isinstance(message.extra.get("x"), float):
            return msgspec.json.encode(message.to_dict())
        return super()._encoded(message)


@caught_by("append.refuses-not-json")
class ReplacesSurrogates(Memory):
    """A lone surrogate is replaced by a question mark, in silence."""

    def _encoded(self, message: ChatMessage) -> bytes:
        if type(message) is ChatMessage and isinstance(message.content, str):
            message = attrs.evolve(message, content=message.content.encode(errors="replace").decode())
        return super()._encoded(message)


@caught_by("append.refuses-not-json")
class AssumesUtc(Memory):
    """A naive datetime is taken for UTC."""

    def _encoded(self, message: ChatMessage) -> bytes:
        moment: Any = getattr(message, "timestamp", None)
        if moment is not None and moment.tzinfo is None:
            message = attrs.evolve(message, timestamp=moment.replace(tzinfo=UTC))
        return super()._encoded(message)


@caught_by("messages.nesting")
class FlattensDeepValues(Memory):
    """What is nested deeper than 100 levels is cut off."""

    def _encoded(self, message: ChatMessage) -> bytes:
        raw = super()._encoded(message)
        if raw.count(b"[") > 100:
            return super()._encoded(attrs.evolve(message, extra={}))
        return raw
