"""The stages of init and join, said one by one; a failure names the stage, so that people know how far it came."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from api.errors import ApiError
from client.command import CommandError
from client.kubeconfig import KubeconfigError
from cloudctl.cluster.state import ClusterError
from cloudctl.cluster.steps import Steps


class Stages:
    """Wraps `Steps`: whatever goes wrong in a stage comes out as one ClusterError that begins with its name."""

    def __init__(self, verb: str, steps: Steps) -> None:
        self._verb, self._steps = verb, steps

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """One stage."""
        try:
            with self._steps.step(title):
                yield
        except (ClusterError, ApiError, CommandError, KubeconfigError, OSError) as error:
            text = error.message if isinstance(error, ApiError) else str(error)
            raise ClusterError(
                f"{self._verb} stopped at «{title}»: {text}\n(what was done so far stays; {self._verb} may be repeated)"
            ) from error

    def say(self, text: str) -> None:
        """A line of its own."""
        self._steps.say(text)
