"""Where the process of the plugin begins, and what its exit codes are: 0, or 1 with a text on stderr.

The operator's image has the package without the plugin's libraries: that is said, not traced back.
"""

from __future__ import annotations

import gc
import sys

from interlock.errors import InterlockError


def main(arguments: list[str] | None = None) -> int:
    """`kubectl interlock …`; `arguments` without the program's name."""
    gc.set_threshold(
        50_000, 50, 50
    )  # a process that lives for seconds makes much, and little of it in circles
    try:
        from interlock.cli.commands import app  # typer may be absent
    except ModuleNotFoundError as error:
        print(f"error: {error.name} is missing: install `interlock[cli]`", file=sys.stderr)
        return 1
    try:
        app(args=arguments, prog_name="kubectl interlock")
    except SystemExit as end:
        return 1 if end.code else 0  # as kubectl: also where a flag is wrong
    except InterlockError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def complete(arguments: list[str] | None = None) -> int:
    """`kubectl_complete-interlock`, which kubectl (1.26 and newer) asks for completions.

    One a line, then `:4` (no file names) or `:0` (file names too): cobra's protocol.
    """
    from interlock.cli.completion import completions

    words = sys.argv[1:] if arguments is None else arguments
    found, files = completions(words)
    print("\n".join([*found, ":0" if files else ":4"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
