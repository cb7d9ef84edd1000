"""The command line: `python -m dev.demo [run | all | up | story | down]`.

Exit code: 0 the story went as told; 1 it did not, or something broke; 2 the demo cannot run here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from rich.console import Console

from dev.cluster.errors import ClusterError
from dev.demo import operator_process, repeat, setting, story, summary
from dev.demo.chapters import SCRIPT, WITH_SAME, Part, Told
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
    run.set_defaults(run=_run)
    every = commands.add_parser(
        "all", help="play it several times with A/A, each in a namespace of its own; one table at the end"
    )
    every.add_argument("--runs", type=_at_least_one, default=3, help="how many (default: %(default)s)")
    every.set_defaults(run=_all)
    commands.add_parser(
        "up", help="bring all up but the agent, for `story`; again: a new operator process"
    ).set_defaults(run=_up)
    one = commands.add_parser(
        "story", help="play it once where all runs already; one line of JSON at the end"
    )
    one.add_argument("--namespace", required=True, help="made for it, and removed when it went as told")
    one.add_argument("--keep", action="store_true", help="leave the namespace in any case")
    one.add_argument(
        "--same", action="store_true", help="try the stable version under another name, too: A/A"
    )
    one.set_defaults(run=_story)
    commands.add_parser("down", help="stop the operator, take the cluster down").set_defaults(run=_down)
    for command in commands.choices.values():
        command.add_argument("--name", default="demo", help="of the cluster (default: %(default)s)")
    for command in (run, every):
        command.add_argument("--keep", action=argparse.BooleanOptionalAction, default=True,
                             help="leave everything up at the end (default)")  # fmt: skip
    for command in (run, every, one):
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


def _at_least_one(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {text}")
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
        told = _play(place, _terms(options), out)
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


def _all(options: argparse.Namespace) -> int:
    """Stories one after the other, in a cluster that is used again where the demo left one up."""
    out = console_for(sys.stdout)
    if not _can_run(options.name):
        return CANNOT_RUN
    stories: list[Told] = []
    try:
        place = setting.raise_curtain(options.name, partial(say_on, out), anew=False)
        for seed in range(options.seed, options.seed + options.runs):
            stories.append(_one_of_all(place, replace(_terms(options, WITH_SAME), seed=seed), out))
    except KeyboardInterrupt:
        _strike(options.name, "interrupted: everything is taken down")
        return INTERRUPTED
    except (ClusterError, DataError) as error:
        print(f"\n{error}", file=sys.stderr)
        _report(options.name)
    for line in repeat.account(stories):
        say_on(out, line)
    _leave(options.name, keep=options.keep)
    return 0 if len(stories) == options.runs and all(told.as_told for told in stories) else 1


def _one_of_all(place: Setting, terms: Terms, out: Console) -> Told:
    """One story in a namespace of its own, which stays when a version met another fate."""
    here = replace(place, namespace=f"{setting.NAMESPACE}-{terms.seed}")
    say_on(out, f"\n=== seed {terms.seed}, namespace {here.namespace}; {_machine()}")
    told = _play(here, terms, out)
    for line in summary.summary(told, {part.version: story.hypothesis(part.version) for part in told.script}):
        say_on(out, line)
    say_on(out, _machine())
    if told.as_told:
        setting.remove_agent(here)
    return told


def _machine() -> str:
    """How busy it is: a loaded machine answers late, and a story may then take longer."""
    return f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs"


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
        told = _play(place, _terms(options, WITH_SAME if options.same else SCRIPT), err)
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


def _terms(options: argparse.Namespace, script: Sequence[Part] = SCRIPT) -> Terms:
    return Terms(options.seed, options.rate, options.timeout, script)


def _play(place: Setting, terms: Terms, console: Console) -> Told:
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
