"""The lab of the session: made once, for whichever tests ask for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.provision import Provided, provided


@pytest.fixture(scope="session")
def lab() -> Iterator[Provided]:
    with provided() as given:
        yield given
