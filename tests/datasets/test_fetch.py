import hashlib
import io
import os
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from trajinfer._core import extras
from trajinfer._core.errors import InputError, MissingExtra, TrajinferError
from trajinfer.datasets import (
    DatasetError,
    OriginalFile,
    available,
    data_folders,
    describe,
    fetch_embryoid_body,
    fetch_gulf_of_mexico,
    fetch_hesc,
    fetch_lotka_volterra,
    fetch_pbmc,
    fetch_repressilator,
    fetch_snapshots,
    files,
    loaders,
    locate,
)

FILE_SETS = [info.name for info in available() if info.source == "file"]
real_data = pytest.mark.skipif(
    not os.environ.get("TRAJINFER_DATA"), reason="TRAJINFER_DATA does not name a folder of data"
)


def _bytes_of(array):
    stream = io.BytesIO()
    np.savez(stream, Xs=array)
    return stream.getvalue()


CLOUDS = np.random.default_rng(0).normal(size=(3, 40, 2))
CONTENT = _bytes_of(CLOUDS)


class _Server(HTTPServer):
    """Serves `content` under any address; announces its full length even when it is cut."""

    content, cut, requests, status = CONTENT, None, 0, 200


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests += 1
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content[: self.server.cut])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    instance = _Server(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=instance.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield instance
    instance.shutdown()
    thread.join()
    instance.server_close()


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path, request):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    if "needs_data" not in request.fixturenames:
        monkeypatch.delenv("TRAJINFER_DATA", raising=False)
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)


@pytest.fixture
def needs_data():
    return Path(os.environ["TRAJINFER_DATA"])


@pytest.fixture
def drifters(server, monkeypatch):
    """A data set of three snapshots whose only source is the local server."""
    original = OriginalFile(
        filename="drifters.npz",
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        url=f"http://127.0.0.1:{server.server_port}/drifters.npz",
        shape=(3, 40, 2),
        times=(0.0, 1.0, 2.5),
        split=("train", "train", "forecast"),
        key="Xs",
    )
    info = replace(describe("gom_200"), name="drifters", original=original)
    monkeypatch.setattr(loaders, "describe", lambda name: info)
    return info


def _left_behind(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_download_once_and_look_it_up_afterwards(drifters, server, tmp_path):
    dataset = fetch_snapshots("drifters")
    assert dataset.snapshots.times.tolist() == [0.0, 1.0, 2.5]
    np.testing.assert_array_equal(dataset.snapshots.points[2], CLOUDS[2])
    assert len(dataset.train) == 2
    assert dataset.forecast.times.tolist() == [2.5]
    assert dataset.held_out is None
    assert locate(drifters) == tmp_path / "cache/trajinfer/snapshots/drifters.npz"
    fetch_snapshots("drifters", download_if_missing=False)
    assert server.requests == 1


def test_data_home_is_where_it_lands(drifters, server, tmp_path):
    home = tmp_path / "mine"
    fetch_snapshots("drifters", data_home=home)
    assert _left_behind(tmp_path) == [home / "snapshots/drifters.npz"]


def test_a_wrong_checksum_leaves_nothing(drifters, server, tmp_path):
    server.content = CONTENT[:-1] + b"?"
    with pytest.raises(DatasetError, match=drifters.original.sha256) as caught:
        fetch_snapshots("drifters")
    assert "drifters.npz" in str(caught.value)
    assert isinstance(caught.value, TrajinferError)
    assert _left_behind(tmp_path) == []


def test_a_broken_transfer_is_tried_again_and_leaves_nothing(drifters, server, tmp_path):
    server.cut = len(CONTENT) // 2
    with pytest.raises(DatasetError, match="could not download"):
        fetch_snapshots("drifters")
    assert server.requests == 3
    assert _left_behind(tmp_path) == []


def test_a_missing_page_is_said(drifters, server, tmp_path):
    server.status = 404
    with pytest.raises(DatasetError, match="404"):
        fetch_snapshots("drifters")
    assert _left_behind(tmp_path) == []


def test_without_a_network_the_file_and_its_hash_are_named(drifters, server, tmp_path, monkeypatch):
    gone = replace(drifters, original=replace(drifters.original, url="http://127.0.0.1:9/x.npz"))
    monkeypatch.setattr(loaders, "describe", lambda name: gone)
    with pytest.raises(DatasetError, match="Without a network") as caught:
        fetch_snapshots("drifters")
    assert gone.original.filename in str(caught.value)
    assert gone.original.sha256 in str(caught.value)
    assert _left_behind(tmp_path) == []


def test_downloading_can_be_forbidden(drifters, server):
    with pytest.raises(DatasetError, match="was not found"):
        fetch_snapshots("drifters", download_if_missing=False)
    assert server.requests == 0


def test_without_pooch_the_extra_is_named(drifters, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pooch", None)
    assert extras.import_extra("numpy", "data") is np
    with pytest.raises(MissingExtra, match=r"trajinfer\[data\]"):
        fetch_snapshots("drifters")


def test_original_in_the_named_folder_is_used_and_checked(drifters, server, tmp_path, monkeypatch):
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("TRAJINFER_DATA", str(folder))
    (folder / "drifters.npz").write_bytes(CONTENT)
    assert fetch_snapshots("drifters").snapshots.dim == 2
    (folder / "drifters.npz").write_bytes(CONTENT[:-20])
    with pytest.raises(DatasetError, match="damaged or another version"):
        fetch_snapshots("drifters")
    assert server.requests == 0


def test_shape_is_checked_as_well_as_the_checksum(drifters, server, monkeypatch):
    other = _bytes_of(CLOUDS[:2])
    server.content = other
    original = replace(drifters.original, sha256=hashlib.sha256(other).hexdigest())
    monkeypatch.setattr(loaders, "describe", lambda name: replace(drifters, original=original))
    with pytest.raises(DatasetError, match="should hold 'Xs' of shape"):
        fetch_snapshots("drifters")


def test_pickled_objects_are_never_read(tmp_path):
    path = tmp_path / "objects.npy"
    np.save(path, np.array([{}, []], dtype=object), allow_pickle=True)
    with pytest.raises(DatasetError, match="cannot be read"):
        files.read_arrays(path)


def test_converted_file_without_an_address_says_what_to_do():
    with pytest.raises(DatasetError, match="no public address") as caught:
        fetch_hesc()
    assert describe("hesc_pca5_sbirr").sha256 in str(caught.value)


def test_a_wrong_converted_file_is_refused(tmp_path):
    (tmp_path / "hesc_pca5_sbirr.npz").write_bytes(CONTENT)
    with pytest.raises(DatasetError, match="expected a1ccd5"):
        fetch_hesc(data_home=tmp_path)


def test_folders_are_searched_in_order(tmp_path, monkeypatch):
    named = tmp_path / "named"
    named.mkdir()
    monkeypatch.setenv("TRAJINFER_DATA", str(named))
    assert data_folders(tmp_path) == (tmp_path, named, tmp_path / "cache/trajinfer")
    monkeypatch.setenv("TRAJINFER_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="not a folder"):
        data_folders()


def test_unknown_name_is_met_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'lv_200'"):
        fetch_snapshots("lv_20")


def test_the_table_is_complete():
    for info in available():
        assert info.licence
        assert info.citation
        assert len(info.features) == info.dim
        assert (info.sha256 is None) == (info.source == "package")
        if info.original is not None:
            assert len(info.original.sha256) == 64
            assert len(info.original.times) == len(info.original.split) == info.original.shape[0]


@real_data
@pytest.mark.parametrize("name", FILE_SETS)
def test_every_recorded_file_loads(needs_data, name):
    info = describe(name)
    if locate(info) is None:
        pytest.skip(f"{name} is not in TRAJINFER_DATA")
    dataset = fetch_snapshots(name, download_if_missing=False)
    assert dataset.info is info
    assert dataset.snapshots.features == info.features


@real_data
def test_the_named_functions_give_their_sets(needs_data):
    names = [
        call(download_if_missing=False).info.name
        for call in (
            fetch_embryoid_body,
            fetch_gulf_of_mexico,
            fetch_hesc,
            fetch_lotka_volterra,
            fetch_pbmc,
            fetch_repressilator,
        )
    ]
    assert names == [
        "eb_pca5_sbirr",
        "gom_vortex_sbirr",
        "hesc_pca5_sbirr",
        "lv_sbirr",
        "pbmc30_500",
        "repressilator_sbirr",
    ]
    truth = fetch_repressilator("repressilator_traj_mit")
    assert truth.trajectories.values.shape == (200, 100, 3)
    assert len(truth.validation) == len(truth.snapshots)
    frame = fetch_lotka_volterra("lv_200", return_frame=True)
    assert list(frame.columns) == ["time", "prey", "predator", "split"]
    assert frame.groupby("split").size().to_dict() == {
        "forecast": 200,
        "held_out": 1800,
        "train": 2000,
    }
