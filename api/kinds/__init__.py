"""The models of every kind, one module per API group (`core` is a package with a module per noun).

Only the API server's edge imports these: decoding, defaulting, validation and OpenAPI. Daemons and the CLI work on
plain data and never load a model.
"""

from functools import cache
from importlib import import_module

from api.kinds.base import Model
from api.types import Resource


@cache
def _class(path: str) -> type[Model]:
    module, _, name = path.partition(":")
    found = getattr(import_module(module), name)
    if not (isinstance(found, type) and issubclass(found, Model)):
        raise TypeError(f"{path} is not a model")
    return found


def load(resource: Resource) -> type[Model]:
    """The model class of a registered resource. Raises ImportError or AttributeError if the row names none."""
    return _class(resource.model)
