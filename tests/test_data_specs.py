"""Every data specification loads; where the data are present, their checksums are right."""

import hashlib
import os
from pathlib import Path

import pytest
import yaml

from mrirecon.data.spec import DataSpec, listing_sha256, load_data_spec, split_files, verify_files
from mrirecon.errors import ConfigError, FormatError

ROOT = Path(__file__).parents[1]
SPECS = sorted((ROOT / "data_specs").glob("*.yaml"))
DATA = Path(os.environ.get("MRIRECON_DATA", ROOT.parent / "shared" / "data"))


def minimal(**changes):
    content = {
        "name": "mine",
        "title": "My data",
        "kind": "kspace",
        "citation": ["me"],
        "licence": {"name": "CC0-1.0", "access": "open", "release": True},
        "reader": "npy",
        "geometry": {"known": "none"},
        "phase_encoding_axis": "y",
    }
    return {**content, **changes}


def written(folder, content, name="mine.yaml"):
    path = folder / name
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_specification_loads(path):
    spec = load_data_spec(path)
    assert isinstance(spec, DataSpec)
    assert spec.citation
    assert "/home/" not in path.read_text()


def test_every_kspace_format_has_a_specification():
    readers = {load_data_spec(p).reader for p in SPECS if load_data_spec(p).kind == "kspace"}
    assert readers >= {"fastmri", "ismrmrd", "twix", "cfl", "npy"}


def test_a_subject_is_in_one_split_only():
    seen = {}
    for path in SPECS:
        for name, split in (load_data_spec(path).splits or {}).items():
            for pattern in split.paths:
                if "/" in pattern:
                    assert seen.setdefault(pattern, name) == name, pattern


@pytest.mark.data
@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_checksums_of_the_shared_data(path):
    spec = load_data_spec(path)
    if not any(f.sha256 for f in spec.files):
        pytest.skip("the specification lists no file with a checksum")
    if not (DATA / spec.files[0].path).exists():
        pytest.skip(f"the data of {spec.name} are not below MRIRECON_DATA")
    assert len(verify_files(spec, DATA)) >= len(spec.files)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"licenze": 1}, ["`licenze`", "did you mean `licence`"]),
        (
            {"licence": {"name": "x", "access": "y", "relase": True}},
            ["`licence.relase`", "did you mean `licence.release`"],
        ),
        ({"geometry": {"known": "maybe"}}, ["`geometry.known`", "'full'"]),
        ({"files": [{"path": "/etc/passwd"}]}, ["relative", "/etc/passwd"]),
        ({"files": [{"path": "a/../../b"}]}, ["relative"]),
        ({"files": [{"path": "a", "sha256": "ABC"}]}, ["64 lower-case"]),
        ({"files": [{"path": "a"}, {"path": "a"}]}, ["twice"]),
        ({"kind": "images"}, ["phase_encoding_axis"]),
        ({"reader": "minc"}, ["`reader`", "'ismrmrd'"]),
        ({"name": "My Data"}, ["lower-case words"]),
        ({"name": "other"}, ["that of the file"]),
        ({"splits": {"train": {"path": ["a"]}}}, ["`splits.train.path`", "`splits.train.paths`"]),
    ],
)
def test_mistakes_are_named(tmp_path, changes, words):
    path = written(tmp_path, minimal(**changes))
    with pytest.raises(ConfigError) as caught:
        load_data_spec(path)
    for word in [*words, "mine.yaml"]:
        assert word in str(caught.value)


def test_a_missing_key_is_named(tmp_path):
    content = minimal()
    del content["citation"]
    with pytest.raises(ConfigError, match="missing key `citation`"):
        load_data_spec(written(tmp_path, content))


def test_yaml_cannot_make_objects(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_data_spec(path)


def test_files_are_found_and_checked(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    for i in range(3):
        (folder / f"{i}.npy").write_bytes(bytes([i]))
    listing = "".join(f"{hashlib.sha256(bytes([i])).hexdigest()}  scans/{i}.npy\n" for i in range(3))
    split = {"paths": ["scans/*.npy"], "count": 3, "sha256": hashlib.sha256(listing.encode()).hexdigest()}
    good = {"path": "scans/1.npy", "sha256": hashlib.sha256(b"\x01").hexdigest()}
    spec = load_data_spec(written(tmp_path, minimal(files=[good], splits={"train": split})))
    files = split_files(spec, "train", tmp_path)
    assert [f.name for f in files] == ["0.npy", "1.npy", "2.npy"]
    assert listing_sha256(tuple(reversed(files)), tmp_path) == split["sha256"]
    assert len(verify_files(spec, tmp_path)) == 4
    with pytest.raises(ConfigError, match="has no split 'test'; it has train"):
        split_files(spec, "test", tmp_path)
    (folder / "2.npy").write_bytes(b"changed")
    with pytest.raises(FormatError, match="listing's SHA-256"):
        verify_files(spec, tmp_path)
    (folder / "2.npy").unlink()
    with pytest.raises(FormatError, match="must have 3 files, got 2"):
        split_files(spec, "train", tmp_path)
    (folder / "1.npy").write_bytes(b"changed")
    with pytest.raises(FormatError, match="SHA-256"):
        verify_files(spec, tmp_path)
    (folder / "1.npy").unlink()
    with pytest.raises(FormatError, match="is missing"):
        verify_files(spec, tmp_path)
