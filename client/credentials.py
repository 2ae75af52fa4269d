"""A kubeconfig that is read anew when it changes: certificates, tokens and the list of servers rotate without a restart.

Promises: `current` costs a look at the files' times at most once a second and is never older than that; what cannot be read,
or cannot be used together (a new certificate whose key is yet to come), is logged once and changes nothing; what a running
request was sent with does not change under it.
"""

from __future__ import annotations

from pathlib import Path

import structlog

from client import kubeconfig
from client.clock import Clock, RealClock
from client.kubeconfig import Kubeconfig, KubeconfigError

_LOOK_SECONDS = 1.0


class Credentials:
    """One context of a kubeconfig file, as it is now. Raises KubeconfigError when the file is of no use to begin with."""

    def __init__(self, path: str | Path, context: str = "", *, clock: Clock | None = None) -> None:
        self._path, self._context, self._clock = path, context, clock or RealClock()
        self._config = self._read()
        self._looked = self._clock.now()
        self._trouble = ""
        self._log = structlog.get_logger("kubeconfig").bind(path=str(path))

    def current(self) -> Kubeconfig:
        """The same object for as long as no file has changed."""
        now = self._clock.now()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            if self._config.changed():
                self._renew()
        return self._config

    def _renew(self) -> None:
        try:
            self._config = self._read()
        except KubeconfigError as error:
            if str(error) != self._trouble:
                self._log.warning("kubeconfig not readable, the old one stays in use", error=str(error))
            self._trouble = str(error)
        else:
            self._trouble = ""
            self._log.info("kubeconfig read anew", servers=self._config.servers)

    def _read(self) -> Kubeconfig:
        config = kubeconfig.load(self._path, self._context)
        config.ssl_context()
        return config
