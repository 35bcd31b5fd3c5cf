"""The plan of a street: lots on both sides, and what stands and moves where."""

from __future__ import annotations

import dataclasses

import numpy as np

from trfjax.data.synthetic.cities import City

FAR = 170.0  # metres; nothing is planned beyond
_LENGTHS = {
    "row": (9.0, 17.0),
    "tower": (18.0, 34.0),
    "house": (13.0, 19.0),
    "hall": (24.0, 44.0),
    "wall": (16.0, 36.0),
    "park": (14.0, 30.0),
    "open": (30.0, 60.0),
    "gap": (7.0, 10.0),
}


@dataclasses.dataclass(frozen=True)
class Lot:
    """A stretch of one side of the street; `seed` decides its details."""

    kind: str
    side: int  # -1 left, 1 right
    start: float
    end: float
    seed: int


@dataclasses.dataclass(frozen=True)
class Item:
    """Something that stands or moves at (x, z)."""

    kind: str
    x: float
    z: float
    seed: int
    ahead: bool = True  # it faces away from us
    crossing: bool = False  # somebody on the carriageway


@dataclasses.dataclass(frozen=True)
class Street:
    """One street of a city, in metres from its middle and its beginning."""

    half: float  # of the carriageway
    pavement: float
    verge: float
    end: float  # where a building closes the view
    parking: tuple[int, ...]  # sides with vehicles at the kerb
    lots: tuple[Lot, ...]
    items: tuple[Item, ...]

    @property
    def line(self) -> float:
        """Distance from the middle to the building line."""
        return self.half + self.verge + self.pavement

    def lane(self, side: int) -> float:
        """Middle of the lane of one direction, between what is parked."""
        left = -self.half + (2.1 if -1 in self.parking else 0.2)
        right = self.half - (2.1 if 1 in self.parking else 0.2)
        if right - left < 4.2:
            return (left + right) / 2
        return left + (right - left) * (0.5 + 0.25 * side)


def plan(city: City, rng: np.random.Generator) -> Street:
    """Draw a street of the city, without its moving traffic."""
    half = rng.uniform(*city.width) / 2
    pavement = rng.uniform(*city.pavement)
    verge = rng.uniform(0.9, 1.8) if city.verge else 0.0
    closed = rng.random() < city.closed
    end = rng.uniform(38.0, 100.0) if closed else FAR
    crossing = rng.uniform(14.0, 50.0) if rng.random() < city.crossing else None
    lots = _lots(city, -1, crossing, rng) + _lots(city, 1, crossing, rng)
    parking = (-1, 1) if half > 4.2 else (int(rng.choice((-1, 1))),)
    bare = Street(
        half=half,
        pavement=pavement,
        verge=verge,
        end=end,
        parking=parking,
        lots=tuple(lots),
        items=(),
    )
    items = _trees(city, bare, rng) + _posts(city, bare, crossing, rng)
    items += _parked(city, bare, rng)
    kept = [i for i in items if i.z < end - 1.0 and not _in_gap(lots, i)]
    return dataclasses.replace(bare, items=tuple(kept))


def moving(
    city: City, street: Street, near: float, rng: np.random.Generator
) -> list[Item]:
    """Draw the traffic and the people of one moment, from the camera on."""
    reach = min(street.end - 3.0, near + 85.0)
    items: list[Item] = []
    single = street.lane(1) == street.lane(-1)
    last = {-1: near - 2.0, 1: near + 3.0}
    for _ in range(int(rng.poisson(city.traffic))):
        side = 1 if single else int(rng.choice((-1, 1)))
        kind = _vehicle(city, rng)
        z = last[side] + rng.uniform(6.0, 28.0)
        last[side] = z + (12.0 if kind != "car" else 6.0)
        x = street.lane(side) + rng.uniform(-0.2, 0.2)
        if z < reach:
            items.append(Item(kind, x, z, _seed(rng), ahead=side > 0))
    for _ in range(int(rng.poisson(city.people))):
        side = int(rng.choice((-1, 1)))
        x = street.half + street.verge + rng.uniform(0.4, max(street.pavement, 0.9))
        crossing = bool(rng.random() < 0.12)
        if crossing:
            x = rng.uniform(-0.8, 0.8) * street.half
        z = near + 4.0 + rng.random() ** 1.4 * 40.0
        if z < reach:
            away = bool(rng.random() < 0.5)
            items.append(Item("person", side * x, z, _seed(rng), away, crossing))
    for _ in range(int(rng.poisson(city.riders))):
        side = int(rng.choice((-1, 1)))
        x = street.lane(side) + side * rng.uniform(0.2, 0.8)
        z = near + rng.uniform(5.0, 32.0)
        if z < reach:
            items.append(Item("rider", x, z, _seed(rng), ahead=side > 0))
    return items


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1 << 30))


def _vehicle(city: City, rng: np.random.Generator) -> str:
    drawn = rng.random()
    if drawn < city.trucks:
        return "truck"
    return "bus" if drawn < city.trucks + city.buses else "car"


def _lots(
    city: City, side: int, crossing: float | None, rng: np.random.Generator
) -> list[Lot]:
    """Deal lots from behind the camera to the far end, cut by the cross street."""
    kinds, weights = list(city.lots), np.array(list(city.lots.values()))
    lots: list[Lot] = []
    z = -8.0 - rng.uniform(0.0, 10.0)
    while z < FAR:
        kind = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
        if kind == "gap" and lots and lots[-1].kind == "gap":
            continue
        length = float(rng.uniform(*_LENGTHS[kind]))
        if crossing is not None and z <= crossing < z + length:
            if crossing - z > 5.0:
                lots.append(Lot(kind, side, z, crossing, _seed(rng)))
            lots.append(Lot("gap", side, crossing, crossing + 9.0, _seed(rng)))
            z = crossing + 9.0
        else:
            lots.append(Lot(kind, side, z, z + length, _seed(rng)))
            z += length
    return lots


def _in_gap(lots: list[Lot], item: Item) -> bool:
    """Say whether a standing item would block a side street."""
    side = 1 if item.x > 0 else -1
    return any(
        lot.kind == "gap"
        and lot.side == side
        and lot.start - 1.0 < item.z < lot.end + (3.5 if item.kind == "car" else 0.5)
        for lot in lots
    )


def _spaced(rate: float, rng: np.random.Generator) -> list[float]:
    """Draw places along the street, `rate` per 100 m, at nearly even distances."""
    if rate <= 0:
        return []
    step = 100.0 / rate
    places = np.arange(rng.uniform(0.0, step), 110.0, step)
    return [float(z) for z in places + rng.uniform(-0.2, 0.2, len(places)) * step]


def _trees(city: City, street: Street, rng: np.random.Generator) -> list[Item]:
    x = street.half + (street.verge / 2 if city.verge else 0.7)
    return [
        Item("tree", side * (x + rng.uniform(-0.1, 0.2)), z, _seed(rng))
        for side in (-1, 1)
        if rng.random() < 0.85
        for z in _spaced(city.trees, rng)
    ]


def _posts(
    city: City, street: Street, crossing: float | None, rng: np.random.Generator
) -> list[Item]:
    """Lamp posts, signs, bins, leaning bicycles, and lights at the crossing."""
    x = street.half + 0.45
    items = []
    for kind, rate in (("lamp", city.poles), ("sign", city.signs), ("bin", 0.8)):
        for side in (-1, 1):
            items += [Item(kind, side * x, z, _seed(rng)) for z in _spaced(rate, rng)]
    for side in (-1, 1):
        wall = street.line - 0.4 if rng.random() < 0.6 else x
        for z in _spaced(city.bicycles, rng):
            items.append(Item("bicycle", side * wall, z, _seed(rng)))
    if rng.random() < city.lights:
        z = crossing - 1.5 if crossing is not None else rng.uniform(12.0, 32.0)
        items += [Item("light", side * x, z, _seed(rng)) for side in (-1, 1)]
    if rng.random() < city.lights - 0.8:
        z = rng.uniform(18.0, 60.0)
        items += [Item("light", side * x, z, _seed(rng)) for side in (-1, 1)]
    return items


def _parked(city: City, street: Street, rng: np.random.Generator) -> list[Item]:
    """Vehicles at the kerb."""
    items = []
    for side in street.parking:
        z = rng.uniform(0.0, 12.0)
        while z < 110.0:
            if rng.random() < city.parked / 9.0:
                kind = "truck" if rng.random() < city.trucks * 0.3 else "car"
                x = side * (street.half - (1.35 if kind == "truck" else 1.05))
                items.append(Item(kind, x, z, _seed(rng), ahead=side > 0))
                z += 3.5 if kind == "truck" else 0.0
            z += rng.uniform(5.4, 7.5)
    return items
