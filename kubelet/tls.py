"""The TLS side of the node's server: its certificate and the CA of its callers change while it serves.

Every new connection is given the context of now; connections that stand keep theirs.
"""

from __future__ import annotations

import contextlib
import importlib
import ssl
from collections.abc import Iterator
from pathlib import Path

import structlog

from kubelet.inotify import FolderWatch
from kubelet.settings import Settings


class ServerTls:
    """Serves with the certificate given by flags, else with what the cluster has signed, else with a self-signed one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._files = (settings.tls_cert, settings.tls_key)
        self._current: ssl.SSLContext | None = None
        self._log = structlog.get_logger("server")

    def context(self) -> ssl.SSLContext:
        """What the listening socket is given. Raises OSError, ssl.SSLError for files that cannot be used."""
        front = self._first()
        self._current = self._made()
        # OpenSSL asks this for every connection, whether or not the caller names a host.
        front.sni_callback = self._switch
        return front

    def _first(self) -> ssl.SSLContext:
        """With what there is before the cluster has signed anything."""
        settings = self._settings
        if settings.tls_cert:
            return self._made()
        if settings.rotate_server_certificates and settings.server_pair.exists():
            self._files = (str(settings.server_pair),) * 2
            try:
                return self._made()
            except (OSError, ssl.SSLError) as error:
                self._log.warning("serving certificate cannot be used", file=self._files[0], error=str(error))
        # Loaded by name: most nodes are given a certificate and need not hold the library for making one.
        made = importlib.import_module("kubelet.self_signed")
        self._files = made.self_signed(settings.certificates, settings.node, settings.node_ips)
        return self._made()

    def use(self, pair: Path) -> None:
        """Serve with the certificate and key in this file from the next connection on."""
        self._files = (str(pair), str(pair))
        self._reload()

    @contextlib.contextmanager
    def following(self) -> Iterator[None]:
        """Meanwhile take up changes of the callers' CA."""
        if not self._settings.client_ca:
            yield
            return
        watch = FolderWatch(Path(self._settings.client_ca).parent, self._reload)
        try:
            yield
        finally:
            watch.close()

    def _reload(self) -> None:
        if self._current is None:
            return
        try:
            self._current = self._made()
        except (OSError, ssl.SSLError) as error:
            self._log.error("TLS files cannot be used, the last ones stay", files=self._files, error=str(error))

    def _made(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._files)
        # A session taken up again would not be verified by the CA of now.
        context.num_tickets, context.options = 0, context.options | ssl.OP_NO_TICKET
        if self._settings.client_ca:
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(self._settings.client_ca)
        return context

    def _switch(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _front: ssl.SSLContext) -> None:
        if self._current is not None:
            connection.context = self._current
