"""Strict records: every mistake is named with its dotted key."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from mrirecon.errors import ConfigError
from mrirecon.records import from_mapping, load_record, load_yaml, to_mapping


@dataclass(frozen=True)
class Circle:
    radius: float
    kind: Literal["circle"] = "circle"


@dataclass(frozen=True)
class Square:
    side: int = 1
    kind: Literal["square"] = "square"


@dataclass(frozen=True)
class Drawing:
    shape: Circle | Square
    name: str = "untitled"
    layers: tuple[int, ...] = ()
    size: tuple[int, int] | None = None
    frame: Square | None = None
    visible: bool = True

    def __post_init__(self) -> None:
        if self.name == "":
            raise ConfigError("`name` must not be empty")


def test_round_trip() -> None:
    drawing = Drawing(Circle(2.5), layers=(1, 2), size=(3, 4), frame=Square(7))
    assert from_mapping(Drawing, to_mapping(drawing)) == drawing


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"shape": {"kind": "circle", "radius": 1}, "nane": "x"}, "`nane`; did you mean `name`"),
        ({"shape": {"kind": "circle", "radius": 1, "raduis": 2}}, "`shape.raduis`; did you mean `shape.radius`"),
        ({"shape": {"kind": "circel", "radius": 1}}, "did you mean 'circle'"),
        ({"shape": {"kind": "circle"}}, "missing key `shape.radius`"),
        ({}, "missing key `shape`"),
        ({"shape": {"kind": "square", "side": 1.5}}, "`shape.side` must be int"),
        ({"shape": {"kind": "square", "side": True}}, "`shape.side` must be int"),
        ({"shape": {"kind": "square"}, "visible": 1}, "`visible` must be bool"),
        ({"shape": {"kind": "square"}, "layers": [1, "two"]}, r"`layers\[1\]` must be int"),
        ({"shape": {"kind": "square"}, "size": [1]}, "`size` must have 2 entries"),
        ({"shape": {"kind": "square"}, "name": ""}, "must not be empty"),
        ({"shape": 3}, "`shape` cannot be 3"),
    ],
)
def test_mistakes_are_named(mapping: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_mapping(Drawing, mapping)


def test_numbers_in_exponent_notation_are_numbers() -> None:
    assert from_mapping(Circle, {"radius": "1e-3"}) == Circle(1e-3)


def test_yaml_problems(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_yaml(tmp_path / "missing.yaml")
    (tmp_path / "list.yaml").write_text("- 1\n- 2\n")
    with pytest.raises(ConfigError, match="mapping"):
        load_yaml(tmp_path / "list.yaml")
    (tmp_path / "tag.yaml").write_text("a: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_yaml(tmp_path / "tag.yaml")


def test_a_record_in_a_file_is_read_and_its_mistakes_name_the_file_once(tmp_path: Path) -> None:
    path = tmp_path / "drawing.yaml"
    path.write_text("shape: {kind: square, side: 3}\n")
    assert load_record(Drawing, path) == Drawing(Square(3))
    path.write_text("shape: {kind: square, sid: 3}\n")
    with pytest.raises(ConfigError, match=r"shape\.sid") as wrong:
        load_record(Drawing, path)
    assert str(wrong.value).startswith(f"{path}: ")
    assert str(wrong.value).count(str(path)) == 1
    with pytest.raises(ConfigError, match="cannot be read") as missing:
        load_record(Drawing, tmp_path / "missing.yaml")
    assert str(missing.value).count(f"{tmp_path / 'missing.yaml'}: ") == 1
