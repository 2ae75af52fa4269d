"""Every cloud provider, by the name that `--provider` knows. A new one is a module and a line here."""

from __future__ import annotations

from collections.abc import Callable

from client.command import Commands
from client.controller import Context
from controllers.cloud.local.provider import make as local
from controllers.cloud.provider import CloudProvider, Settings

Factory = Callable[[Settings, Commands, Context], CloudProvider]

PROVIDERS: dict[str, Factory] = {
    "local": local,
}
