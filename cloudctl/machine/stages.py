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
        self._changed = False

    @contextmanager
    def stage(self, title: str, *, changes: bool = True) -> Iterator[None]:
        """One stage. Without `changes` it only looks."""
        try:
            with self._steps.step(title):
                yield
        except (ClusterError, ApiError, CommandError, KubeconfigError, OSError) as error:
            text = error.message if isinstance(error, ApiError) else str(error)
            self._changed = self._changed or changes
            state = (
                f"what was done so far stays; {self._verb} may be repeated" if self._changed else "nothing was changed"
            )
            raise ClusterError(f"{self._verb} stopped at «{title}»: {text} ({state})") from error
        self._changed = self._changed or changes

    def say(self, text: str) -> None:
        """A line of its own."""
        self._steps.say(text)
