"""Pieces of a fit in a folder: found again, refused where they are another fit's, never half."""

import errno
import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

from trajinfer import InputError, MarkovJumpProcess, evaluation, jumps
from trajinfer._core import checkpoint_folder
from trajinfer._core.checkpoint_folder import checkpointed, once, open_folder
from trajinfer._core.errors import StorageError
from trajinfer._core.fingerprint import fingerprint
from trajinfer._core.parallel import Task, fan_out


class Counted:
    """Calls that were really made."""

    def __init__(self):
        self.made = []

    def __call__(self, k):
        self.made.append(k)
        return {"square": np.array([k * k]), "k": k}


def _work(folder, call, numbers=(1, 2, 3), *, of="work", setting=0):
    with checkpointed(folder, of, lambda: {"setting": setting}):
        return [once("piece", call, k) for k in numbers]


def test_pieces_are_made_once(tmp_path):
    call, again = Counted(), Counted()
    first = _work(tmp_path / "c", call, (1, 2))
    second = _work(tmp_path / "c", again, (1, 2, 3))
    assert call.made == [1, 2]
    assert again.made == [3]
    assert [piece["square"] for piece in second] == [1, 4, 9]
    assert [piece["k"] for piece in first] == [1, 2]
    assert open_folder() is None
    assert _work(None, Counted(), (5,))[0]["k"] == 5


def test_of_processes_that_train_together_the_first_one_writes_and_all_read(tmp_path, monkeypatch):
    folder = tmp_path / "c"
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    alone = Counted()
    _work(folder, alone, (1,))
    assert alone.made == [1]
    assert not folder.exists()
    monkeypatch.setenv("RANK", "0")
    with checkpointed(folder, "work", lambda: {"setting": 0}):
        once("piece", Counted(), 1)
        before = {file.name: file.read_bytes() for file in folder.iterdir()}
        monkeypatch.setenv("RANK", "1")  # while the first one holds the folder
        token = checkpoint_folder._OPEN.set(None)
        other = Counted()
        assert [piece["k"] for piece in _work(folder, other, (1, 2))] == [1, 2]
        assert other.made == [2]
        with pytest.raises(InputError, match="setting differ"):
            _work(folder, other, setting=1)
        checkpoint_folder._OPEN.reset(token)
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_a_piece_forgets_the_pieces_on_its_way(tmp_path):
    inner = Counted()

    def outer():
        return [once("inner", inner, k)["k"] for k in (1, 2)]

    with checkpointed(tmp_path, "work", dict):
        assert once("outer", outer) == [1, 2]
        assert once("outer", lambda: 7) == 7
    assert sorted(p.name for p in tmp_path.glob("*.safetensors")) == [
        "outer-0.safetensors",
        "outer-1.safetensors",
    ]


def test_a_broken_piece_goes_on_within(tmp_path):
    inner = Counted()

    def outer(stop):
        first = once("inner", inner, 1)
        if stop:
            raise KeyboardInterrupt
        return first["k"] + once("inner", inner, 2)["k"]

    for stop in (True, False):
        try:
            with checkpointed(tmp_path, "work", dict):
                result = once("outer", outer, stop)
        except KeyboardInterrupt:
            continue
    assert result == 3
    assert inner.made == [1, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"of": "other"}, "checkpoint of work, not of other"),
        ({"setting": 1}, "another fit: setting differ"),
    ],
)
def test_the_checkpoint_of_other_work_is_refused(tmp_path, change, message):
    _work(tmp_path, Counted())
    with pytest.raises(InputError, match=message):
        _work(tmp_path, Counted(), **change)
    assert len(_work(tmp_path, Counted())) == 3


def test_what_cannot_be_trusted_is_refused(tmp_path):
    _work(tmp_path, Counted())
    piece = tmp_path / "piece-1.safetensors"
    content = piece.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"x" * 100):
        piece.write_bytes(damaged)
        with pytest.raises(InputError, match=r"piece-1.*damaged.*remove this file alone"):
            _work(tmp_path, Counted())
    piece.unlink()
    again = Counted()
    _work(tmp_path, again)
    assert again.made == [2]
    header = tmp_path / "checkpoint.json"
    found = json.loads(header.read_text())
    header.write_text(json.dumps(found | {"versions": {"trajinfer": "0.1", "torch": "1"}}))
    with pytest.raises(InputError, match="other versions"):
        _work(tmp_path, Counted())
    header.write_text(header.read_text()[:20])
    with pytest.raises(InputError, match=r"checkpoint\.json is damaged"):
        _work(tmp_path, Counted())


def test_other_folders_are_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="is no checkpoint"):
        _work(tmp_path, Counted())
    with pytest.raises(InputError, match="is a file"):
        _work(tmp_path / "thesis.txt", Counted())
    with pytest.raises(StorageError, match="cannot be written"):
        _work("/proc/nowhere", Counted())


def test_a_second_fit_in_the_folder_is_refused(tmp_path):
    held = Counted()
    with checkpointed(tmp_path, "work", lambda: {"setting": 0}):
        code = f"""
            from pathlib import Path
            from trajinfer._core.folder_lock import folder_lock  # what loads no torch
            with folder_lock(Path({str(tmp_path)!r})):
                pass
        """
        other = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert re.search(rf"in use by another fit \(process {os.getpid()}\)", other.stderr)
        once("piece", held, 1)
    assert len(_work(tmp_path, Counted(), (1,))) == 1


@pytest.mark.parametrize(
    ("number", "remedy"), [(errno.ENOSPC, "make room"), (errno.EROFS, "choose")]
)
def test_a_full_disk_keeps_the_last_good_state(tmp_path, monkeypatch, number, remedy):
    _work(tmp_path, Counted(), (1,))

    def full(*_):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_folder.os, "fsync", full)
        with pytest.raises(StorageError, match=rf"piece-1.*{os.strerror(number)}.*{remedy}"):
            _work(tmp_path, Counted())
    assert not list(tmp_path.glob(".*.scratch"))
    again = Counted()
    _work(tmp_path, again)
    assert again.made == [2, 3]


def test_tasks_that_are_done_are_not_handed_out_again(tmp_path):
    def tasks(call):
        return (Task(f"task {k}", (k,)) for k in range(4))

    first, second = Counted(), Counted()
    for call in (first, second):
        if call is second:
            (tmp_path / "task-2.safetensors").unlink()
        with checkpointed(tmp_path, "work", dict):
            results = fan_out(call, tasks(call))
    assert first.made == [0, 1, 2, 3]
    assert second.made == [2]
    assert [r["k"] for r in results] == [0, 1, 2, 3]


def test_a_bootstrap_goes_on_and_a_clone_has_no_folder(tmp_path):
    paths = jumps.simulate([[-1, 1], [2, -2]], [1, 0], 20, [0, 0.3, 0.6], random_state=1)
    model = MarkovJumpProcess(2, method="mle", random_state=0, checkpoint=tmp_path / "fit")
    model.fit(paths)
    assert clone(model).checkpoint is None
    settings = {"random_state": 0, "checkpoint": tmp_path / "rates"}
    rates = model.bootstrap(3, **settings)
    (tmp_path / "rates" / "task-1.safetensors").unlink()
    assert np.array_equal(model.bootstrap(3, **settings), rates)
    with pytest.raises(InputError, match="give one"):
        evaluation.bootstrap(model, paths, 2, checkpoint=tmp_path / "b")


def test_equal_values_have_equal_fingerprints():
    def one(x):
        return x + 1

    def other(x):
        return x + 2

    table = pd.DataFrame({"t": [0.5, 1.5], "who": ["a", "b"]})
    different = [
        None, 0, 0.0, "0", [0], (1, 2), {"a": 1}, np.zeros(2), np.zeros((2, 1)), torch.ones(2),
        table, table.assign(t=[0.5, 1.0]), one, other, np.random.default_rng(0),
        np.random.default_rng(1), torch.nn.Dropout(0.1), torch.nn.Dropout(0.2), Path("a"),
        MarkovJumpProcess(2), MarkovJumpProcess(3), np.array(["a", None], dtype=object),
    ]  # fmt: skip
    digests = [fingerprint(value) for value in different]
    assert len(set(digests)) == len(different)
    assert digests == [fingerprint(value) for value in different]
    assert fingerprint(table.copy()) == fingerprint(table)
    held = {"self": None}
    held["self"] = [held]
    circle = type("Circle", (), {})()
    circle.itself = circle
    assert len(fingerprint(circle)) == 64
