"""A small sweep over invented cities, and work that costs nothing."""

import zlib

import pytest

from tests.training.cases import network
from trfjax.ranking.cell import Cell
from trfjax.studies.sweep.work import Worker

CITIES = ("arden", "corvale", "delmira")


def data(city, count=6, **more):
    return {"name": f"synthetic:{city}", "count": count, **more}


def asked(**changes):
    """Return a sweep of three sources and two targets, one of both kinds."""
    return {
        "size": [32, 64],
        "shots": 2,
        "seeds": [0, 1],
        "scores": ["leep", "logme"],
        "methods": ["full", "scratch"],
        "train": {"width": 2, "steps": 2, "batch_size": 2},
        "sources": [{"name": city, "data": data(city)} for city in CITIES],
        "targets": [{"name": city, "data": data(city)} for city in ("arden", "ilmar")],
        **changes,
    }


CELLS = 2 * (2 + 1 + 2) * 5  # seeds, (scores, facts, methods), pairs


def number(cell, *more):
    """Return a number in [0, 1) that depends on the cell alone."""
    return zlib.crc32(repr((cell, more)).encode()) / 2**32


class Fakes:
    """Work that counts itself; `broken` are the cells that fail."""

    def __init__(self):
        self.done, self.trained, self.broken = [], [], lambda cell: False

    def train(self, worker, source):
        self.trained.append(source.name)
        return network()

    def score(self, worker, cell, trained):
        self._count(cell)
        value = number(cell)
        return Cell(cell.source, cell.target, cell.name, score=value).record()

    def facts(self, worker, cell, trained):
        self._count(cell)
        return {
            "as_is": number(cell),
            "source_accuracy": 0.5,
            "source_miou": None,
            "source_images": 6,
            "parameters": 100,
        }

    def transfer(self, worker, cell, trained):
        self._count(cell)
        names = ("accuracy", "miou", "log_likelihood")
        return {name: number(cell, name) for name in names}

    def _count(self, cell):
        if self.broken(cell):
            raise ValueError(f"no luck with {cell.source}")
        self.done.append(cell)


@pytest.fixture
def fakes(monkeypatch):
    """Put work that costs nothing in the place of the real one."""
    made = Fakes()
    for name in ("train", "score", "facts", "transfer"):

        def work(worker, *rest, name=name):
            return getattr(made, name)(worker, *rest)

        monkeypatch.setattr(Worker, f"_{name}", work)
    return made
