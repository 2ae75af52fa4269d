"""The command line."""

from pathlib import Path

import pytest

from apiserver.options import Options, parse, seconds


def test_without_flags_everything_has_its_default() -> None:
    assert parse([]) == Options()


def test_key_files_may_be_given_several_times() -> None:
    found = parse(["--service-account-key-file=a.pub", "--service-account-key-file=b.pub"])
    assert found.service_account_key_file == (Path("a.pub"), Path("b.pub"))


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("5s", 5), ("1m30s", 90), ("250ms", 0.25), ("1.5h", 5400)])
def test_a_duration_is_written_as_kubernetes_writes_it(text: str, value: float) -> None:
    assert seconds(text) == value
    assert parse([f"--shutdown-delay-duration={text}"]).shutdown_delay_duration == value


@pytest.mark.parametrize("text", ["", "5", "s", "5x", "-5s", "5s!", "1.2.3s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        seconds(text)
    with pytest.raises(SystemExit):
        parse([f"--shutdown-delay-duration={text}"])
