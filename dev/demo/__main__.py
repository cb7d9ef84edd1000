"""The command line: `python -m dev.demo [run | up | story | down]`.

Exit code: 0 the story went as told; 1 it did not, or something broke; 2 the demo cannot run here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

from rich.console import Console

from dev.cluster.errors import ClusterError
from dev.demo import operator_process, setting, story, summary
from dev.demo.chapters import SCRIPT, Told
from dev.demo.data import DataError
from dev.demo.display import console_for, display_for, say_on
from dev.demo.setting import Setting
from dev.demo.story import Stuck, Terms

CANNOT_RUN = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; what goes wrong is a sentence on standard error."""
    options = _parser().parse_args(_with_command(sys.argv[1:] if arguments is None else arguments))
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # its retries are ours to report
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        code: int = options.run(options)
    except (ClusterError, DataError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dev.demo", description="The demo, from nothing to the end."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    run = commands.add_parser(
        "run", help="bring all up, play the story, leave it up to look around (default)"
    )
    run.add_argument("--keep", action=argparse.BooleanOptionalAction, default=True,
                     help="leave everything up at the end (default)")  # fmt: skip
    run.set_defaults(run=_run)
    commands.add_parser(
        "up", help="bring all up but the agent, for `story`; again: a new operator process"
    ).set_defaults(run=_up)
    one = commands.add_parser(
        "story", help="play it once where all runs already; one line of JSON at the end"
    )
    one.add_argument("--namespace", required=True, help="made for it, and removed when it went as told")
    one.add_argument("--keep", action="store_true", help="leave the namespace in any case")
    one.set_defaults(run=_story)
    commands.add_parser("down", help="stop the operator, take the cluster down").set_defaults(run=_down)
    for command in commands.choices.values():
        command.add_argument("--name", default="demo", help="of the cluster (default: %(default)s)")
    for command in (run, one):
        command.add_argument("--seed", type=int, default=1, help="of the questions (default: %(default)s)")
        command.add_argument("--rate", type=_positive, default=20.0, help="questions a second (default: 20)")
        command.add_argument("--timeout", type=_positive, default=600.0,
                             help="seconds that a version may take (default: 600)")  # fmt: skip
    return parser


def _with_command(arguments: Sequence[str]) -> Sequence[str]:
    """`run` is what is meant where no command is named."""
    named = bool(arguments) and (not arguments[0].startswith("-") or arguments[0] in ("-h", "--help"))
    return arguments if named else ["run", *arguments]


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be greater than 0, not {text}")
    return value


def _run(options: argparse.Namespace) -> int:
    out = console_for(sys.stdout)
    say = partial(say_on, out)
    if not _can_run(options.name):
        return CANNOT_RUN
    try:
        begun = time.monotonic()
        place = setting.raise_curtain(options.name, say, anew=True)
        say(f"all is up after {time.monotonic() - begun:.0f} s; the story begins\n")
        told = _play(place, options, out)
    except KeyboardInterrupt:
        _report(options.name)
        _strike(options.name, "interrupted: everything is taken down")
        return INTERRUPTED
    except (ClusterError, DataError) as error:
        print(f"\n{error}", file=sys.stderr)
        _report(options.name)
        _leave(options.name, keep=options.keep)
        return 1
    hypotheses = {part.version: story.hypothesis(part.version) for part in SCRIPT}
    ending = list(summary.summary(told, hypotheses))
    if options.keep:
        ending += ["", *summary.look_around(place, story.answerable_question())]
    for line in ("", *ending):
        say(line)
    if not options.keep:
        _strike(options.name, "taken down, as --no-keep says")
    return 0 if told.as_told else 1


def _up(options: argparse.Namespace) -> int:
    if not _can_run(options.name):
        return CANNOT_RUN
    place = setting.raise_curtain(options.name, partial(say_on, console_for(sys.stdout)), anew=False)
    print(f"the operator's log: {place.operator.log}")
    return 0


def _story(options: argparse.Namespace) -> int:
    """Progress goes to standard error, the result alone to standard output."""
    err = console_for(sys.stderr)
    place = setting.find(options.name, options.namespace)
    try:
        told = _play(place, options, err)
    except KeyboardInterrupt:
        setting.remove_agent(place)
        raise
    except Stuck:
        _report(options.name)
        say_on(err, f"\nNamespace {options.namespace} stays to look at.")
        raise
    print(json.dumps({"namespace": options.namespace, **told.as_json()}, ensure_ascii=False), flush=True)
    if options.keep or not told.as_told:
        say_on(err, f"namespace {options.namespace} stays: kubectl delete namespace {options.namespace}")
    else:
        setting.remove_agent(place)
    return 0 if told.as_told else 1


def _down(options: argparse.Namespace) -> int:
    found = setting.strike(options.name)
    print(f"the demo {options.name} is gone" if found else f"there was no demo {options.name}")
    return 0


def _play(place: Setting, options: argparse.Namespace, console: Console) -> Told:
    terms = Terms(options.seed, options.rate, options.timeout)
    with display_for(console) as display:
        return asyncio.run(story.play(place, terms, display))


def _can_run(name: str) -> bool:
    try:
        setting.check(name)
    except ClusterError as error:
        print(error, file=sys.stderr)
        return False
    return True


def _report(name: str) -> None:
    """What the operator said last: why something broke usually stands there."""
    operator = operator_process.find(name)
    lines = operator.last_lines() if operator else []
    if operator and lines:
        print(f"\nThe operator's last lines ({operator.log}):", *lines, sep="\n  ", file=sys.stderr)


def _leave(name: str, *, keep: bool) -> None:
    if not keep:
        _strike(name, "everything is taken down")
    else:
        print(f"\nWhat is up stays up to look at. Remove it: {summary.removal(name)}", file=sys.stderr)


def _strike(name: str, why: str) -> None:
    print(f"\n{why} …", file=sys.stderr)
    _quietly(lambda: setting.strike(name))


def _quietly(action: Callable[[], object]) -> None:
    """A second interrupt, or a cluster that does not end, must not hide what was said before."""
    try:
        action()
    except (ClusterError, KeyboardInterrupt) as error:
        print(f"{error or 'interrupted again'}: run `make demo-down` when you can", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
