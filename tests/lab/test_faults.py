"""The representative part of the fault matrix on a lab of three control planes and two workers."""

from __future__ import annotations

import asyncio

import pytest

from tests.lab.cases import REPRESENTATIVE
from tests.lab.matrix import HEADER, Matrix, Row, line
from tests.lab.provision import Provided

SECONDS = 900.0


async def _rows(given: Provided) -> list[Row]:
    matrix, rows = Matrix(given.lab, given.image, given.single_clock), []
    print(f"\n{HEADER}")
    async with asyncio.timeout(SECONDS), matrix.ready():
        for case in REPRESENTATIVE:
            rows.append(await matrix.run(case))
            print(line(rows[-1]), flush=True)
    return rows


@pytest.mark.timeout(SECONDS + 60)
async def test_no_promise_is_broken_by_a_fault(lab: Provided) -> None:
    rows = await _rows(lab)
    assert [row for row in rows if row.impossible] == []
    wrong = [f"{line(row)}\n  " + "\n  ".join(map(str, row.violations[:20])) for row in rows if not row.good]
    assert not wrong, "\n".join(wrong)
    assert all(row.acknowledged for row in rows)
