"""The commands: each takes its options, opens the store, and prints what another module makes of it."""

import os

import click

from sessionkit.cli.importing import Conversation, Existing, import_file
from sessionkit.cli.rendering import counted, print_conversation, print_hit, print_sessions
from sessionkit.cli.terminal import OneLineErrors, console, harmless, print_json_lines
from sessionkit.doctor import open_to_look
from sessionkit.errors import CorruptSessionError
from sessionkit.models import STUCK_AFTER, SessionMetadata, SessionQuery
from sessionkit.protocol import OpenBackend
from sessionkit.registry import BackendURL, default_url, open_backend
from sessionkit.secret import VISIBLE


def _take_seconds(_context: click.Context, _parameter: click.Parameter, seconds: float) -> float:
    """Not a number is none, and less than nothing neither."""
    if not seconds >= 0:
        raise click.BadParameter("it must be 0 or more")
    return seconds


def _take_url(_context: click.Context, _parameter: click.Parameter, url: str | None) -> BackendURL:
    """The store that is meant, in the form that hides its password."""
    if url is None:
        return BackendURL.parse(os.environ.get("SESSIONKIT_URL") or default_url())
    taken = BackendURL.parse(url)
    if taken.password is not None:
        click.echo(f"Warning: {VISIBLE}.", err=True)
    return taken


_url = click.option(
    "--url",
    metavar="URL",
    callback=_take_url,
    help="The store, such as sqlite:///chats.db. Default: $SESSIONKIT_URL, else SQLite in your data directory.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, an object a line, complete and exact.")


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sessionkit")
def cli() -> None:
    """Look into any store of agent conversations, fill it, or see what sessionkit is for."""


@cli.command("demo")
@click.option("--folder", type=click.Path(file_okay=False), help="An empty folder for the store. Default: a new one.")
def demo_command(folder: str | None) -> None:
    """Kill an agent in mid-answer, and see nothing lost."""
    from sessionkit.cli.demo import run_demo  # noqa: PLC0415 -- no other command needs it

    run_demo(console(), folder)


@cli.command("list")
@_url
@click.option("--limit", type=click.IntRange(min=0), default=50, show_default=True, help="How many at most; 0 for all.")
@_json
def list_command(url: BackendURL, limit: int, *, as_json: bool) -> None:
    """List the sessions, the last active first."""
    with open_to_look(url) as backend:
        found = backend.search(SessionQuery(limit=limit + 1 if limit else None))
    shown = found[:limit] if limit else found
    if as_json:
        print_json_lines(shown)
    elif shown:
        print_sessions(console(), shown)
        if len(found) > len(shown):
            click.echo(f"\nThere are more than these {limit}; --limit 0 lists them all.")
    else:
        click.echo(f"There is no session in {url}.")


@cli.command("show")
@click.argument("key")
@_url
@click.option("--last", type=click.IntRange(min=0), metavar="N", help="Only the newest N messages.")
@_json
def show_command(key: str, url: BackendURL, last: int | None, *, as_json: bool) -> None:
    """Show the conversation of the session KEY.

    With --json it is a line that `sessionkit import` takes.
    """
    with open_to_look(url) as backend:
        metadata = _known(backend, key, url)
        messages = backend.load_with_timestamps(key, last=last)
    if as_json:
        print_json_lines([Conversation(key, [stored.message for stored in messages])])
    else:
        print_conversation(console(), metadata, messages)


@cli.command("search")
@click.argument("words", nargs=-1, required=True)
@_url
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many at most.")
@_json
def search_command(words: tuple[str, ...], url: BackendURL, limit: int, *, as_json: bool) -> None:
    """Find the sessions where a message holds WORDS.

    One message must hold them all: whole words, in any case and order (in Chinese, Japanese and Korean: characters side
    by side); quotes, * and OR mean nothing. The most recently active session comes first.
    """
    query = SessionQuery(keyword=" ".join(words), limit=limit)
    if not query.terms:
        raise click.ClickException(
            "there is no letter and no digit to search for; `sessionkit list` lists all sessions"
        )
    with open_to_look(url) as backend:
        found = backend.search(query)
        if as_json:
            print_json_lines(found)
            return
        out = console()
        for metadata in found:
            print_hit(out, query, metadata, backend.load(metadata.key))
    if not found:
        click.echo(f"No message in {url} holds all of these words.")


@cli.command("delete")
@click.argument("key")
@_url
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete_command(key: str, url: BackendURL, *, yes: bool) -> None:
    """Delete the session KEY and all about it, for good."""
    with open_to_look(url) as backend:
        try:
            what = f"{harmless(key)} ({counted(_known(backend, key, url).message_count, 'message')})"
        except CorruptSessionError:  # deleting is a way to mend it
            what = f"{harmless(key)} (unreadable)"
    if not yes:
        click.confirm(f"Delete {what} from {url}?", abort=True)
    with open_backend(url) as backend:
        backend.delete_session(key)
    click.echo(f"Deleted {what}.")


@cli.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@_url
@click.option(
    "--existing",
    type=click.Choice(["refuse", "skip", "append"]),
    default="refuse",
    show_default=True,
    help="Where a session exists: refuse the whole file, leave the session as it is, or add the messages to it.",
)
def import_command(file: str, url: BackendURL, existing: Existing) -> None:
    """Store the conversations of FILE, a JSON object a line.

    A line is {"session_key": "...", "messages": [{"role": "user", "content": "..."}, ...]}. All lines are checked
    before any is stored. Each conversation is stored whole or not at all, where the backend can; so an import that was
    interrupted is taken up again with --existing skip.
    """
    with open_backend(url) as backend:
        imported = import_file(console(), backend, file, existing)
    click.echo(f"{imported.summary()} in {url}.")


@cli.command("doctor")
@click.argument("url", metavar="[URL]", required=False, callback=_take_url)
@click.option("--repair", is_flag=True, help="Mend what can be mended; what can't be read is set aside, not deleted.")
@click.option(
    "--stuck-after",
    type=float,
    callback=_take_seconds,
    metavar="SECONDS",
    default=STUCK_AFTER,
    show_default=True,
    help="How long a running turn may give no sign of life.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, as `sessionkit.cli.diagnosing` has it.")
def doctor_command(url: BackendURL, stuck_after: float, *, repair: bool, as_json: bool) -> None:
    """Look whether a whole store is in order, and mend it.

    URL is the store, such as sqlite:///chats.db; default: $SESSIONKIT_URL, else SQLite in your data directory. Every
    session is read; nothing is written without --repair. The exit status is 1 where something is wrong, with --repair
    where a second look still finds something wrong.
    """
    from sessionkit.cli.diagnosing import diagnose_and_tell  # noqa: PLC0415 -- no other command needs it

    if not diagnose_and_tell(console(), url, repair=repair, stuck_after=stuck_after, as_json=as_json):
        raise SystemExit(1)


def _known(backend: OpenBackend, key: str, url: BackendURL) -> SessionMetadata:
    """What is known of the session; an error where it does not exist."""
    metadata = backend.get_session_metadata(key)
    if metadata is None:
        raise click.ClickException(f"there is no session {harmless(key)} in {url}")
    return metadata
