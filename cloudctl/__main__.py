"""`cloudctl`: parse the command line, run the verb, turn what went wrong into one line and an exit code."""

from __future__ import annotations

import os
import sys

import typer

from api.errors import ApiError
from cloudctl import globals as global_flags
from cloudctl.app import build
from cloudctl.faults import Fault, FileFault, sentence


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


def run(args: list[str]) -> int:
    """Run one command line; returns the exit code."""
    try:
        flags, rest = global_flags.take(args)
        code = build()(args=rest, prog_name="cloudctl", standalone_mode=False, obj=flags)
        return code if isinstance(code, int) else 0
    except typer.TyperException as error:
        format_message = getattr(error, "format_message", error.__str__)
        return _fail(f"error: {format_message()}\nSee 'cloudctl --help' for usage.")
    except ApiError as error:
        return _fail(sentence(error))
    except FileFault as error:
        return _fail(sentence(error.error, f'error when {error.verb} "{error.source}": '))
    except Fault as error:
        return _fail(f"error: {error}", error.code)
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        # The reader of our output went away, e.g. `head`; the interpreter must not complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0


def _fail(text: str, code: int = 1) -> int:
    sys.stderr.write(f"{text}\n")
    return code


if __name__ == "__main__":
    main()
