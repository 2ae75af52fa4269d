"""The objects every cluster starts with, from the manifests in `deploy/addons`."""

from __future__ import annotations

from pathlib import Path

import yaml

from api import resources
from api.errors import NotFound
from api.types import Object
from client.rest import ApiClient

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "addons"


def manifests(folder: Path = FOLDER) -> list[Object]:
    """Every object of every YAML file of the folder."""
    found: list[Object] = []
    for path in sorted(folder.glob("*.yaml")):
        found += [obj for obj in yaml.safe_load_all(path.read_text()) if obj]
    return found


async def ensure(client: ApiClient, objects: list[Object]) -> None:
    """Create what is missing and set what the manifests say; what people added beside it stays."""
    for obj in objects:
        resource = resources.of(obj)
        if resource is None:
            raise ValueError(f"an add-on of unknown kind: {obj.get('apiVersion')} {obj.get('kind')}")
        meta = obj["metadata"]
        try:
            await client.patch(
                resource, meta["name"], obj, meta.get("namespace"), kind="merge", field_manager="cloudctl"
            )
        except NotFound:
            await client.create(resource, obj)
