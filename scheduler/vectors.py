"""Columns over the nodes: numpy arrays that all grow together when nodes are added."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Rows = slice | NDArray[np.intp]
"""Which nodes a plugin is asked about: `EVERY` row, or an array of row numbers."""

EVERY = slice(None)


class Vector:
    """One value for each node row; `a` is the array, as long as the pool's capacity."""

    __slots__ = ("__weakref__", "a", "fill")

    def __init__(self, size: int, dtype: type[Any], fill: int | bool) -> None:
        self.a: NDArray[Any] = np.full(size, fill, dtype=dtype)
        self.fill = fill


class Pool:
    """Makes vectors and lengthens those still in use. A vector no one refers to is forgotten."""

    def __init__(self, capacity: int = 64) -> None:
        self.capacity = capacity
        self._vectors: WeakSet[Vector] = WeakSet()

    def new(self, dtype: type[Any] = np.int64, fill: int | bool = 0) -> Vector:
        """A vector that holds `fill` in every row."""
        vector = Vector(self.capacity, dtype, fill)
        self._vectors.add(vector)
        return vector

    def ensure(self, rows: int) -> None:
        """Make room for `rows` rows."""
        if rows <= self.capacity:
            return
        while self.capacity < rows:
            self.capacity *= 2
        for vector in self._vectors:
            longer = np.full(self.capacity, vector.fill, dtype=vector.a.dtype)
            longer[: len(vector.a)] = vector.a
            vector.a = longer
