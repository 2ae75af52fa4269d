"""What a kubelet needs to start, and whom it takes a caller for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from api.types import Object
from kubelet import peer, settings


def test_a_kubelet_does_not_start_without_a_kubeconfig(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        settings.parse(["--hostname-override", "n"])
    assert "the following arguments are required: --kubeconfig" in capsys.readouterr().err
    assert settings.parse(["--kubeconfig", "/k"]).kubeconfig == "/k"


class _Transport(asyncio.Transport):
    """A TLS connection whose client has shown a certificate."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self if name == "ssl_object" else default

    def getpeercert(self) -> Object:
        return {"subject": ((("commonName", "kube-apiserver-kubelet-client"),),)}


@pytest.mark.parametrize("protocol", [peer.HttpProtocol, peer.WebSocketProtocol])
async def test_the_application_sees_the_callers_certificate_over_http_and_websocket(protocol: Any) -> None:
    seen: list[Object] = []

    async def app(scope: Object, receive: Any, send: Any) -> None:
        seen.append(scope)

    config = Config(app, log_config=None)
    config.load()
    made = protocol(config, ServerState(), {})
    made.connection_made(_Transport())
    await made.app({"type": "x"}, None, None)
    assert peer.is_allowed(seen[0][peer.PEER])
