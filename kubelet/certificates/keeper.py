"""All certificates of the node that renew themselves, while the kubelet runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import structlog

from client import kubeconfig
from client.clock import Clock
from client.kubeconfig import KubeconfigError
from client.rest import ApiClient
from kubelet.certificates import pair
from kubelet.certificates.bootstrap import with_identity
from kubelet.certificates.pair import Pair
from kubelet.certificates.rotation import Rotation
from kubelet.certificates.signing import Wanted, client_certificate, serving_certificate, signed
from kubelet.settings import Settings


async def keep(
    settings: Settings, client: ApiClient, clock: Clock, registered: asyncio.Event, serve: Callable[[], None]
) -> None:
    """Renew what the settings say, until cancelled. `serve` is told of a new serving certificate.

    That one is asked for once the node is `registered`: who approves it compares it with the Node.
    """

    async def sign(wanted: Wanted) -> Pair:
        return await signed(client, wanted)

    def authorities() -> bytes | None:
        return client.config.ca

    def once_client_follows() -> bytes | None:
        """The same as soon as the client certificate is of the authority that signs: then the serving one tells of both."""
        ca, held = client.config.ca, pair.read(settings.client_pair)
        return ca if ca and (held is None or pair.is_issued_by(held, ca)) else None

    async with asyncio.TaskGroup() as tasks:
        if settings.rotate_certificates:
            wanted = client_certificate(settings.node)
            refer = partial(_refer, settings)
            rotation = Rotation(settings.client_pair, wanted, sign, refer, clock, bundle=authorities)
            tasks.create_task(rotation.run(), name="client certificate")
        if settings.rotate_server_certificates:
            await registered.wait()
            wanted = serving_certificate(settings.node, settings.node_ips)
            rotation = Rotation(settings.server_pair, wanted, sign, serve, clock, bundle=once_client_follows)
            tasks.create_task(rotation.run(), name="serving certificate")


def _refer(settings: Settings) -> None:
    """See to it that the kubeconfig names the file that is renewed; one made with the cluster may hold a certificate itself."""
    path = settings.kubeconfig
    try:
        config, ca = kubeconfig.read(path), kubeconfig.load(path).ca
        wanted = with_identity(config, ca, settings.node, settings.client_pair)
        if wanted["users"] != config["users"]:
            kubeconfig.save(path, wanted)
    except (KubeconfigError, OSError) as error:
        structlog.get_logger("certificates").error("kubeconfig does not follow", file=path, error=str(error))
