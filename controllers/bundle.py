"""For controllers that hand out the cluster's CA bundle: it is read anew when its file changes, as while a CA is replaced."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509

from client.controller import Context, Controller
from client.files import FileWatch


class BundleController(Controller):
    """`bundle` is the file's PEM text. Raises OSError, ValueError for a file of no use to begin with."""

    def __init__(self, ctx: Context, path: Path) -> None:
        super().__init__(ctx)
        self._path = path
        self.bundle = self._read()

    def bundle_changed(self) -> None:
        """Queue every key whose object holds the bundle."""
        raise NotImplementedError

    async def run(self) -> None:
        watch = FileWatch(self.clock)
        try:
            watch.add([self._path], self._load)
            await super().run()
        finally:
            watch.close()

    def _load(self) -> None:
        bundle = self._read()
        if bundle != self.bundle:
            self.bundle = bundle
            self.bundle_changed()

    def _read(self) -> str:
        text = self._path.read_text()
        x509.load_pem_x509_certificates(text.encode())
        return text
