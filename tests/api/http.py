"""A small synchronous client for the tests: plain paths in, JSON out, status codes asserted."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

Object = dict[str, Any]
TYPES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


class Watch:
    """An open watch; iterating gives its events, at most for the client's read timeout."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.iter_lines()

    def next(self) -> Object:
        """The next event. Raises StopIteration at the end, httpx.ReadTimeout when none comes."""
        event: Object = json.loads(next(self._lines))
        return event

    def take(self, count: int) -> list[tuple[str, str]]:
        """The next events as (type, name)."""
        return [
            (event["type"], event["object"]["metadata"].get("name", ""))
            for event in (self.next() for _ in range(count))
        ]

    def until_end(self) -> list[Object]:
        return [json.loads(line) for line in self._lines]


class Api:
    """One user's connection to the server."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def ask(self, method: str, path: str, body: Any = None, *, expect: int = 200, **more: Any) -> Object:
        if body is not None:
            more["json"] = body
        response = self.client.request(method, path, **more)
        assert response.status_code == expect, f"{method} {path}: {response.status_code}: {response.text[:2000]}"
        found: Object = response.json()
        return found

    def get(self, path: str, *, expect: int = 200, **params: Any) -> Object:
        return self.ask("GET", path, expect=expect, params=params)

    def post(self, path: str, body: Any, *, expect: int = 201, **params: Any) -> Object:
        return self.ask("POST", path, body, expect=expect, params=params)

    def put(self, path: str, body: Any, *, expect: int = 200, **params: Any) -> Object:
        return self.ask("PUT", path, body, expect=expect, params=params)

    def patch(self, path: str, body: Any, kind: str = "merge", *, expect: int = 200, **params: Any) -> Object:
        headers = {"content-type": TYPES[kind]}
        return self.ask("PATCH", path, expect=expect, content=json.dumps(body), headers=headers, params=params)

    def delete(self, path: str, body: Any = None, *, expect: int = 200, **params: Any) -> Object:
        return self.ask("DELETE", path, body, expect=expect, params=params)

    @contextmanager
    def watch(self, path: str, *, accept: str = "application/json", **params: Any) -> Iterator[Watch]:
        query = {"watch": "true", "timeoutSeconds": "10"} | {name: str(value) for name, value in params.items()}
        with self.client.stream("GET", path, params=query, headers={"accept": accept}) as response:
            if response.status_code != 200:
                response.read()
                raise AssertionError(f"watch {path}: {response.status_code}: {response.text}")
            yield Watch(response)
