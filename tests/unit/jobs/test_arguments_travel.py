"""What was enqueued is what is performed: every supported type goes there and comes back the same."""

from __future__ import annotations

import dataclasses
import enum
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple, NewType, TypedDict
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.errors import ArgumentsError
from stoker.jobs.freeform import JSON
from tests.unit.jobs.rig import Jobs

UserId = NewType("UserId", int)


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@dataclasses.dataclass
class Address:
    city: str
    since: date | None = None


class Order(msgspec.Struct):
    number: int
    address: Address
    lines: list[tuple[str, Decimal]] = []


class Point(NamedTuple):
    x: int
    y: int


class Form(TypedDict, total=False):
    name: str


class Model:
    """What the codec knows a pydantic model by."""

    def __init__(self, name: str) -> None:
        self.name = name

    def model_dump_json(self, *, by_alias: bool = False) -> str:
        assert by_alias
        return msgspec.json.encode({"name": self.name}).decode()

    @classmethod
    def model_validate_json(cls, text: bytes) -> Model:
        return cls(**msgspec.json.decode(text))

    @classmethod
    def model_validate(cls, value: Any) -> Model:
        return cls(**value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and self.name == other.name

    __hash__ = None  # type: ignore[assignment]


TYPED: list[tuple[Any, object]] = [
    (int, 42),
    (int, 2**63),
    (int, -(10**40)),
    (float, 0.1),
    (float, 1e300),
    (float, 3),
    (bool, True),
    (str, "naïve \u2028 \x00 😀"),
    (None, None),
    (int | None, None),
    (Literal["a", 1], 1),
    (bytes, b"\x00\xff"),
    (bytes | None, b"x"),
    (Path, Path("a/b.png")),
    (Path | None, Path("a")),
    (PurePosixPath, PurePosixPath("/etc")),
    (list[Path], [Path("a"), Path("b")]),
    (dict[str, Path], {"one": Path("a")}),
    (Decimal, Decimal("1.10")),
    (UUID, UUID(int=7)),
    (datetime, datetime(2026, 11, 3, 12, tzinfo=UTC)),
    (datetime, datetime(2026, 11, 3, 12, tzinfo=timezone(timedelta(hours=-5)))),
    (date, date(2026, 11, 3)),
    (time, time(12, 30)),
    (timedelta, timedelta(days=1, microseconds=1)),
    (Colour, Colour.RED),
    (Level, Level.HIGH),
    (tuple[int, str], (1, "a")),
    (tuple[int, ...], (1, 2, 3)),
    (set[int], {1, 2}),
    (frozenset[str], frozenset({"a"})),
    (Sequence[int], [1]),
    (Mapping[str, int], {"a": 1}),
    (dict[int, str], {1: "a"}),
    (dict[UUID, int], {UUID(int=1): 1}),
    (Address, Address("Rome", date(2020, 1, 1))),
    (Order, Order(1, Address("Rome"), [("a", Decimal("0.10"))])),
    (Point, Point(1, 2)),
    (Form, {"name": "x"}),
    (UserId, UserId(3)),
    (Annotated[int, msgspec.Meta(ge=0)], 0),
    (Model, Model("x")),
    (list[Model], [Model("x"), Model("y")]),
    (Model | None, None),
    (Any, {"a": [1, 2.5, None, True, "x", {}]}),
    (JSON, [[], {}, None, 10**30]),
    (object, {"a": 1}),
]


@pytest.mark.parametrize(("kind", "value"), TYPED, ids=[f"{kind}: {str(value)[:20]}" for kind, value in TYPED])
def test_a_typed_value_arrives_as_it_was_sent(app: Jobs, kind: Any, value: object) -> None:
    def keep(value: Any) -> object:
        return value

    keep.__annotations__["value"] = kind
    job = app.job(keep)

    job.enqueue(value)

    arrived = job.call(job.decode(app.last.args))
    assert arrived == value
    assert type(arrived) is type(value) or (kind is float and type(arrived) is float)


def test_subclasses_and_views_of_plain_types_travel_as_the_plain_type(app: Jobs) -> None:
    class Text(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "something else"

    @app.job
    def keep(text: str, numbers: list[int], named: dict[str, int]) -> None: ...

    keep.enqueue(Text("a"), deque([1]), MappingProxyType(OrderedDict(a=1)))  # type: ignore[arg-type]

    assert app.last.args == '{"text":"a","numbers":[1],"named":{"a":1}}'


def test_text_is_taken_where_it_says_what_the_type_says(app: Jobs) -> None:
    @app.job
    def keep(path: Path, when: datetime, price: Decimal) -> tuple[Path, datetime, Decimal]:
        return path, when, price

    keep.enqueue("a.png", "2026-11-03T12:00:00Z", "1.10")  # type: ignore[arg-type]

    arrived = keep.call(keep.decode(app.last.args))
    assert arrived == (Path("a.png"), datetime(2026, 11, 3, 12, tzinfo=UTC), Decimal("1.10"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(json_values)
def test_any_json_value_arrives_exactly(value: Any) -> None:
    app = Jobs()

    @app.job
    def keep(value: JSON) -> JSON:
        return value

    keep.enqueue(value)

    assert keep.call(keep.decode(app.last.args)) == value


class Complaint(ValueError):
    """An error of a kind of its own, in several lines, as pydantic's is."""


class Picky(Model):
    """A model that accepts nothing."""

    @classmethod
    def model_validate_json(cls, text: bytes) -> Picky:
        raise Complaint(
            f"1 validation error for Picky\n  {text.decode()} will not do\n    For further information visit a page"
        )


def test_a_models_complaint_names_the_job_and_the_path() -> None:
    app = Jobs()

    @app.job
    def keep(models: list[Picky]) -> None: ...

    with pytest.raises(ArgumentsError) as refused:
        keep.enqueue([Picky("x")])

    assert str(refused.value) == ('keep: argument `models[0]`: 1 validation error for Picky {"name":"x"} will not do')


@given(st.floats() | st.integers(min_value=-(10**400), max_value=10**400))
def test_a_number_arrives_exactly_or_is_refused(value: float) -> None:
    app = Jobs()

    @app.job
    def keep(number: float) -> float:
        return number

    try:
        keep.enqueue(value)
    except ArgumentsError:
        assert app.shelf.jobs == []
    else:
        assert keep.call(keep.decode(app.last.args)) == value
