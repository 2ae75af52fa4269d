"""The lab of this folder: made once, for whichever tests ask for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.provision import Provided, provided


@pytest.fixture(scope="package")
def lab() -> Iterator[Provided]:
    with provided() as given:
        yield given
