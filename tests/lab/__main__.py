"""The fault matrix as a table: `python -m tests.lab`, or `make lab`. Exits with 1 when a promise was broken.

With `CLOUDLET_LAB_INVENTORY` it runs on the machines of that file, else on a lab of containers that it makes and deletes.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

import structlog

from tests.lab import cases
from tests.lab.cluster import Lab
from tests.lab.inventory import InventoryError
from tests.lab.matrix import HEADER, Matrix, Row, line
from tests.lab.provision import provided


def report(row: Row) -> None:
    """Print a row, and under it what is wrong."""
    print(line(row), flush=True)
    for violation in row.violations[:20]:
        print(f"    {violation}", flush=True)


async def run(lab: Lab, chosen: list[cases.Case], image: str, *, single_clock: bool) -> bool:
    """Every case, a row each; whether all of them were good."""
    matrix, good = Matrix(lab, image, single_clock), True
    print(HEADER, flush=True)
    async with matrix.ready():
        for case in chosen:
            row = await matrix.run(case)
            report(row)
            good &= row.good
    return good


def main(argv: list[str] | None = None) -> int:
    """0 when every promise was kept, 1 when one was not, 2 for a wrong command line or inventory."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description="The fault matrix of a lab, as a table.")
    parser.add_argument("--fault", default="", help="only this fault")
    parser.add_argument("--component", default="", help="only where this component is hit")
    parser.add_argument("--representative", action="store_true", help="the few cases that CI runs")
    parser.add_argument("--list", action="store_true", help="print the cases and do nothing")
    flags = parser.parse_args(argv)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # the table alone is standard output
    # Told to end, it heals the fault that is going on and deletes the lab that it made, as after Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        chosen = cases.chosen(flags.fault, flags.component, representative=flags.representative)
        if flags.list:
            print(*chosen, sep="\n")
            return 0
        with provided() as given:
            good = asyncio.run(run(given.lab, chosen, given.image, single_clock=given.single_clock))
    except (InventoryError, LookupError) as error:
        print(error.args[0], file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
