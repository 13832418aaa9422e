"""One exchange with an agent: what it is told, and its answer, stored as it comes.

`SessionHistory.continue_session` and `Memory` differ in what they read of a session; what is said in it, and how that
is stored, is the same, and stands here. `Exchange` waits for nothing but the store, so that an asynchronous caller can
hand it over to a thread, piece by piece.
"""

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from inspect import isawaitable
from itertools import takewhile

from sessionkit.history.keeping import attributes_of, session_of, stored_of
from sessionkit.history.options import Options
from sessionkit.history.session import AggregatedUsage, Session
from sessionkit.history.streams import INCOMPLETE, AnswerStream
from sessionkit.history.tail import Draft, Tail
from sessionkit.history.turns import Turn
from sessionkit.history.windows import window
from sessionkit.messages import JSON, ChatMessage
from sessionkit.models import SessionMetadata
from sessionkit.speaking import spoken

Piece = str | ChatMessage
"""A piece of an answer: text that goes on growing, or a message as a whole."""

Respond = Callable[[list[ChatMessage]], Piece | Iterable[Piece]]
"""What answers a conversation: an agent, or a call of a model.

It is given the messages, oldest first, and gives a message or several, or text in pieces, or an iterator of these.
Pieces of text are one growing message of the assistant's. An assistant's message right after them whose text begins
with them is that answer as a whole, such as the provider gives it at the end of its stream, and takes their place.
"""

OnText = Callable[[str], object]
"""What is given each piece of text as it comes."""

Said = str | ChatMessage | Iterable[ChatMessage] | None
"""What an agent is told: a user's text, a message or several; None to have it go on from where the session stands."""


class Exchange:
    """What is said in one turn, stored as it is said.

    Attributes:
        session: the session, whose messages, usage and end are kept up to date.
        heard: what the agent is given.
        is_answered: whether nothing is left for it to say.
        answer: the messages that the agent has given back, each as a whole.
    """

    def __init__(
        self,
        session: Session,
        tail: Tail | Draft,
        heard: list[ChatMessage],
        *,
        stale: ChatMessage | None,
        is_answered: bool,
        interval: float,
    ) -> None:
        self.session = session
        self.heard = heard
        self.is_answered = is_answered
        self.answer: list[ChatMessage] = []
        self._tail = tail
        self._stale = stale
        self._interval = interval
        self._stored = stored_of(session).attributes
        self._unstored = AggregatedUsage()
        self._stream: AnswerStream | None = None
        self._waiting: ChatMessage | None = None

    def say(self, messages: list[ChatMessage]) -> None:
        """Tell the agent something: a conversation that goes on has not ended."""
        self.session.ended_at = None
        if messages:
            self._keep(messages)

    def take(self, piece: Piece) -> None:
        """Take a piece of the answer, and store what is due."""
        if self.add(piece):
            self.store()

    def add(self, piece: Piece) -> bool:
        """Take a piece of the answer without waiting for the store; whether `store` must be called now.

        Raises:
            TypeError: it is neither text nor a message.
        """
        if isinstance(piece, ChatMessage):
            self._waiting = piece
            return True
        if not isinstance(piece, str):
            msg = f"an answer is text or a ChatMessage, or several of them, not {type(piece).__name__}"
            raise TypeError(msg)
        if self._stream is None:
            self._stream = AnswerStream(self._tail, interval=self._interval, model=self.session.model)
        self._stream.add(piece)
        return self._stream.is_due

    def store(self) -> None:
        """Store what `add` has taken."""
        message, self._waiting = self._waiting, None
        if message is None:
            if self._stream is not None:
                self._stream.store()
        elif self._stream is not None and _is_whole_of(message, self._stream.message):
            self._stream.finish(message)
            self._end_stream()
        else:
            self._end_stream()
            self._keep([message])
            self.answer.append(message)

    def close(self) -> None:
        """The answer has ended: store what is left."""
        self._end_stream()
        if self._stale is not None and not self.answer:
            self.session.messages.append(self._stale)  # nothing came in its place
        if self._told(None):
            self._note(is_stored=self._tail.put([], self._told))
        self._tail.flush()

    @property
    def revision(self) -> int | None:
        """The session's revision by the last write; None where others have changed it as well."""
        return self._tail.revision

    def fail(self, error: BaseException) -> None:
        """It was cut off: store what there is of it; what keeps it from that goes into a note of `error`."""
        if self._stream is not None:
            self._stream.abandon(error)

    def _end_stream(self) -> None:
        stream = self._stream
        if stream is not None and not stream.is_empty:
            stream.complete()
            self._take_in([stream.message])
            self._note(is_stored=stream.store(self._told))
            self.answer.append(stream.message)
        self._stream = None
        if self.answer:
            self._tail.settle()

    def _keep(self, messages: list[ChatMessage]) -> None:
        self._take_in(messages)
        self._note(is_stored=self._tail.put(messages, self._told))
        self._tail.settle()

    def _note(self, *, is_stored: bool) -> None:
        """Remember that all that was told is in the store; or not, where it is held back."""
        if is_stored:
            self._stored, self._unstored = attributes_of(self.session), AggregatedUsage()

    def _take_in(self, messages: list[ChatMessage]) -> None:
        """Make messages part of the session."""
        self.session.messages.extend(messages)
        for message in messages:
            if message.usage is not None:
                self.session.usage.add(message.usage)
                self._unstored.add(message.usage)
            if self.session.model is None and message.role == "assistant":
                self.session.model = message.model

    def _told(self, metadata: SessionMetadata | None) -> dict[str, JSON]:
        """Which attributes must change, so that what the exchange has added is added to what others have written."""
        session, stored = self.session, self._stored
        if metadata is not None:
            session = session_of(metadata.key, [], metadata)
            stored = stored_of(session).attributes
            session.usage.add(self._unstored)
            session.model = session.model or self.session.model
            session.ended_at = None
        return {name: value for name, value in attributes_of(session).items() if value != stored.get(name)}


def begin_exchange(
    turn: Turn | None,
    session: Session,
    said: list[ChatMessage] | None,
    given: Callable[[ChatMessage | None], list[ChatMessage]],
    *,
    count: int,
    interval: float,
    at_once: bool,
) -> Exchange:
    """Tell the agent what is said, in a turn that runs; without a turn nothing is stored.

    Where nothing is, and the newest message is an answer that was cut off, the new answer takes its place; where it is
    a whole one, nothing is left for the agent to say.

    Args:
        turn: the turn.
        session: the session; of its messages only the newest need be there.
        said: what is said.
        given: what the agent is given, of which that message, if any, is no part; asked before anything is stored.
        count: how many messages the session has.
        interval: seconds between two writes of an answer that grows.
        at_once: whether all is stored as it comes, and not at the end.
    """
    stale = None
    if said is None and session.messages and is_cut_off(session.messages[-1]):
        stale = session.messages.pop()
    is_answered = said is None and stale is None and is_answer(session.messages)
    heard = given(stale)
    tail = None if turn is None else Tail(turn, revision=stored_of(session).revision, count=count, stale=stale)
    exchange = Exchange(
        session,
        tail if tail is not None and at_once else Draft(tail),
        heard,
        stale=stale,
        is_answered=is_answered,
        interval=interval,
    )
    if not is_answered:
        exchange.say(said or [])
    return exchange


def window_with(known: list[ChatMessage], said: list[ChatMessage], options: Options) -> list[ChatMessage]:
    """The window of what is known and what is said.

    Raises:
        ValueError: the limits leave no room for the newest that is said, or for the system messages.
    """
    chosen = window([*known, *said], **options.window)
    if said and not _ends_with(chosen, said[-1]) and _ends_with(window([*known, *said]), said[-1]):
        msg = "max_messages or max_tokens leaves no room for what is said, besides the system messages: raise it"
        raise ValueError(msg)
    return chosen


def waiting(messages: list[ChatMessage]) -> list[ChatMessage]:
    """What stands at the end and no provider accepts yet, such as a tool call without its result."""
    newest = next(reversed(window(messages)), None)
    return list(takewhile(lambda message: message is not newest, reversed(messages)))[::-1]


def _ends_with(messages: list[ChatMessage], message: ChatMessage) -> bool:
    return bool(messages) and messages[-1] is message


def is_answer(messages: list[ChatMessage]) -> bool:
    """Whether the newest message is the assistant's, and waits for nothing."""
    return bool(messages) and messages[-1].role == "assistant" and not waiting(messages[-1:])


def _is_whole_of(message: ChatMessage, streamed: ChatMessage) -> bool:
    """Whether the message holds all that was streamed; were it not so, to put it in its place would lose some."""
    text = spoken(streamed.content).strip()
    return message.role == "assistant" and spoken(message.content).lstrip().startswith(text)


def is_cut_off(message: ChatMessage) -> bool:
    """Whether it is an answer that was still growing when its turn ended or died."""
    return message.role == "assistant" and message.status == INCOMPLETE


def answer(exchange: Exchange, respond: Respond, on_text: OnText | None) -> None:
    """Have the agent answer, and store its answer as it comes."""
    if exchange.is_answered:
        return
    try:
        with closing(pieces_of(respond(exchange.heard))) as pieces:
            for piece in pieces:
                exchange.take(piece)
                if on_text is not None and isinstance(piece, str):
                    on_text(piece)
        exchange.close()
    except BaseException as error:
        exchange.fail(error)
        raise


def check_respond(respond: object) -> None:
    """Accept what can be called.

    Raises:
        TypeError: it can't.
    """
    if not callable(respond):
        msg = f"respond is what answers messages, a function or the like, not {type(respond).__name__}"
        raise TypeError(msg)


def pieces_of(answer: Piece | Iterable[Piece]) -> Generator[Piece]:
    """The pieces of what an agent gave.

    Raises:
        TypeError: it is no answer.
    """
    if isinstance(answer, str | ChatMessage):
        yield answer
    elif isinstance(answer, Iterable) and not isinstance(answer, Mapping | bytes):
        yield from answer
    else:
        kind = type(answer).__name__
        hint = (
            "sessionkit.aio awaits it" if isawaitable(answer) else "ChatMessage.from_openai() or from_dict() makes one"
        )
        msg = f"respond gave {kind}, which is no answer: {hint}"
        raise TypeError(msg)


def said_messages(said: Said) -> list[ChatMessage] | None:
    """What is said, as messages; None where nothing is.

    Raises:
        TypeError: it is neither text nor messages.
    """
    if said is None:
        return None
    if isinstance(said, str):
        return [ChatMessage.user(said)]
    messages = [said] if isinstance(said, ChatMessage) else list(said)
    for message in [said] if isinstance(said, Mapping) else messages:
        if not isinstance(message, ChatMessage):
            kind = type(message).__name__
            msg = f"what is said is text or ChatMessages, not {kind}: ChatMessage.from_dict() makes one"
            raise TypeError(msg)
    return messages
