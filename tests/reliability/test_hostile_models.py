"""Whatever was done to a saved model: it is refused in one sentence of ours.

Where the checksum was written anew as well it is read or refused.
"""

import json
import shutil
import struct

import numpy as np
import pytest

from trajinfer import MarkovJumpProcess, SchrodingerBridge, jumps, load
from trajinfer._core.archive import checksum
from trajinfer._core.errors import TrajinferError

STRANGE = (None, -1, 1e308, float("nan"), "../../etc/passwd", "os.system", "__class__", [], {})
STRANGE += ([1, 2, 3], 10**30, True, {"kind": "object", "class": "system", "state": {}})


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    points = np.random.default_rng(0).normal(size=(18, 2))
    bridge = SchrodingerBridge(n_refinements=0, random_state=0)
    bridge.fit(points, np.repeat([0.0, 1.0, 2.0], 6)).save(folder / "bridge")
    seen = jumps.simulate([[-1.0, 1.0], [2.0, -2.0]], [1, 0], 20, [0, 0.3, 0.9], random_state=0)
    MarkovJumpProcess(method="mle", random_state=0).fit(seen).save(folder / "jumps")
    return folder


def _places(document, path=()):
    """The paths of all entries of a nested document."""
    pairs = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in pairs:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from _places(value, (*path, key))


def change_configuration(folder, rng):
    """Another value at one place of config.json, or none."""
    document = json.loads((folder / "config.json").read_text())
    places = list(_places(document))
    *way, last = places[rng.integers(len(places))]
    inner = document
    for key in way:
        inner = inner[key]
    if rng.random() < 0.3:
        del inner[last]
    else:
        inner[last] = STRANGE[rng.integers(len(STRANGE))]
    (folder / "config.json").write_text(json.dumps(document))


def change_header(folder, rng):
    """Shapes, types, places and names that the tensors do not have."""
    file = folder / "model.safetensors"
    raw = file.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + length])
    name = str(rng.choice([key for key in header if key != "__metadata__"]))
    kind = rng.integers(5)
    if kind == 0:
        header[name]["shape"] = [10**9, 10**9]
    elif kind == 1:
        header[name]["dtype"] = "I64"
    elif kind == 2:
        header[name]["data_offsets"] = [0, 10**12]
    elif kind == 3:
        header["../outside"] = header.pop(name)
    text = json.dumps(header).encode()
    size = 2**62 if kind == 4 else len(text)
    file.write_bytes(struct.pack("<Q", size) + text + raw[8 + length :])


def change_bytes(folder, rng):
    """Some bytes of the tensors."""
    raw = bytearray((folder / "model.safetensors").read_bytes())
    for place in rng.integers(len(raw), size=5):
        raw[place] = rng.integers(256)
    (folder / "model.safetensors").write_bytes(raw[: rng.integers(1, len(raw) + 1)])


CHANGES = (change_configuration, change_configuration, change_header, change_bytes)


def sum_of(folder):
    """The checksum of what is there now."""
    return checksum(json.loads((folder / "config.json").read_text()), folder)


def seal(folder):
    """Write the checksum of what is there now."""
    document = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(document | {"checksum": sum_of(folder)}))


def _check(saved, target, n, seed, *, sealed):
    rng = np.random.default_rng(seed)
    refused, foreign = 0, []
    for k in range(n):
        folder = target / f"model{k}"
        shutil.copytree(saved / ("bridge" if rng.random() < 0.5 else "jumps"), folder)
        before = sum_of(folder)
        while sum_of(folder) == before:  # a value may be replaced by itself
            CHANGES[rng.integers(len(CHANGES))](folder, rng)
        if sealed:
            seal(folder)
        kept = sorted(file.name for file in target.iterdir())
        try:
            load(folder)
        except TrajinferError as error:
            refused += len(str(error)) > 25
        except Exception as error:  # noqa: BLE001  which is what the test looks for
            foreign.append(f"{type(error).__name__}: {error}")
        assert sorted(file.name for file in target.iterdir()) == kept  # nothing is written
        shutil.rmtree(folder)
    assert foreign == []
    return refused


def test_a_changed_model_is_refused(saved, tmp_path):
    assert _check(saved, tmp_path, 40, 0, sealed=False) == 40


def test_a_changed_model_with_its_checksum_is_read_or_refused(saved, tmp_path):
    assert _check(saved, tmp_path, 60, 0, sealed=True) > 20


@pytest.mark.slow
def test_five_hundred_changed_models(saved, tmp_path):
    assert _check(saved, tmp_path, 500, 1, sealed=False) == 500
    assert _check(saved, tmp_path, 500, 1, sealed=True) > 170
