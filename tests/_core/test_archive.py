import json

import pytest
import safetensors.torch
import torch

from trajinfer._core import archive
from trajinfer._core.archive import FORMAT, read_archive, save_archive, write_folder, write_text
from trajinfer._core.errors import InputError

CONFIG = {"estimator": "X", "settings": {"n": 3, "x": None}}
TENSORS = {
    "a": torch.arange(6, dtype=torch.float64).reshape(2, 3),
    "b": torch.tensor(3),
    "empty": torch.zeros(0, 2),
}


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_round_trip(tmp_path):
    path = save_archive(tmp_path / "model", CONFIG, TENSORS)
    config, tensors = read_archive(path)
    assert {k: config[k] for k in CONFIG} == CONFIG
    assert config["format"] == FORMAT
    assert set(config["versions"]) == {"trajinfer", "torch"}
    assert set(tensors) == set(TENSORS)
    for name, value in TENSORS.items():
        assert tensors[name].dtype == value.dtype
        assert torch.equal(tensors[name], value)


def test_views_parameters_and_shared_memory_are_written_as_values(tmp_path):
    base = torch.arange(6.0)
    given = {"t": base.reshape(2, 3).T, "p": torch.nn.Parameter(base), "q": base}
    _, tensors = read_archive(save_archive(tmp_path / "m", {}, given))
    for name, value in given.items():
        assert torch.equal(tensors[name], value.detach())


def test_missing_folders_are_made_and_nothing_else_is_left(tmp_path):
    save_archive(tmp_path / "new" / "model", CONFIG, TENSORS)
    assert names(tmp_path / "new") == ["model"]
    assert names(tmp_path / "new" / "model") == ["config.json", "model.safetensors"]


def test_a_saved_model_is_replaced(tmp_path):
    save_archive(tmp_path / "m", CONFIG, TENSORS)
    save_archive(tmp_path / "m", {"estimator": "Y"}, {"c": torch.ones(1)})
    config, tensors = read_archive(tmp_path / "m")
    assert config["estimator"] == "Y"
    assert list(tensors) == ["c"]
    assert names(tmp_path) == ["m"]


def test_a_foreign_folder_is_not_overwritten(tmp_path):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter1.txt").write_text("years of work")
    with pytest.raises(InputError, match="exists and is not a saved model"):
        save_archive(folder, CONFIG, TENSORS)
    assert (folder / "chapter1.txt").read_text() == "years of work"
    assert names(tmp_path) == ["thesis"]


def test_an_empty_folder_may_be_used(tmp_path):
    (tmp_path / "m").mkdir()
    save_archive(tmp_path / "m", CONFIG, TENSORS)
    assert read_archive(tmp_path / "m")[0]["estimator"] == "X"


def test_a_file_in_the_way_is_kept(tmp_path):
    (tmp_path / "m").write_text("a file")
    with pytest.raises(InputError, match="is a file; give the name of a folder"):
        save_archive(tmp_path / "m", CONFIG, TENSORS)
    assert (tmp_path / "m").read_text() == "a file"


def test_an_interrupted_save_leaves_the_old_model_and_no_rubbish(tmp_path, monkeypatch):
    save_archive(tmp_path / "m", CONFIG, TENSORS)

    def full_disk(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(archive.safetensors.torch, "save_file", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_archive(tmp_path / "m", {"estimator": "Y"}, {})
    monkeypatch.undo()
    assert read_archive(tmp_path / "m")[0]["estimator"] == "X"
    assert names(tmp_path) == ["m"]


def test_an_interrupt_from_the_keyboard_leaves_nothing_behind(tmp_path):
    def interrupted(folder):
        (folder / "part").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path / "m", interrupted)
    assert names(tmp_path) == []


def test_a_move_that_fails_brings_the_old_folder_back(tmp_path, monkeypatch):
    write_folder(tmp_path / "m", lambda folder: (folder / "old").write_text("old"))
    rename = archive.Path.rename

    def refuse_the_new_one(self, target):
        if (self / "new").exists():
            raise OSError("refused")
        return rename(self, target)

    monkeypatch.setattr(archive.Path, "rename", refuse_the_new_one)
    with pytest.raises(OSError, match="refused"):
        write_folder(tmp_path / "m", lambda folder: (folder / "new").write_text("new"))
    monkeypatch.undo()
    assert (tmp_path / "m" / "old").read_text() == "old"
    assert names(tmp_path) == ["m"]


def test_what_json_cannot_hold_is_found_before_anything_is_written(tmp_path):
    with pytest.raises(TypeError):
        save_archive(tmp_path / "m", {"x": object()}, {})
    assert names(tmp_path) == []


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere holds no config\.json; give the folder"):
        read_archive(tmp_path / "nowhere")


def test_half_a_model_is_refused(tmp_path):
    path = save_archive(tmp_path / "m", CONFIG, TENSORS)
    (path / "model.safetensors").unlink()
    with pytest.raises(InputError, match="damaged or incomplete"):
        read_archive(path)


@pytest.mark.parametrize("n_bytes", [0, 4, 60, -8])
def test_a_half_written_tensor_file_is_refused(tmp_path, n_bytes):
    path = save_archive(tmp_path / "m", CONFIG, TENSORS)
    whole = (path / "model.safetensors").read_bytes()
    (path / "model.safetensors").write_bytes(whole[:n_bytes])
    with pytest.raises(InputError, match="damaged or incomplete"):
        read_archive(path)


@pytest.mark.parametrize("text", ["", '{"format": 1', "\x00\xff"])
def test_a_damaged_configuration_is_refused(tmp_path, text):
    path = save_archive(tmp_path / "m", CONFIG, TENSORS)
    (path / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="damaged or incomplete"):
        read_archive(path)


@pytest.mark.parametrize("document", ["[]", "{}", '{"format": "x"}', '{"format": null}'])
def test_a_configuration_of_another_make_is_refused(tmp_path, document):
    path = save_archive(tmp_path / "m", CONFIG, TENSORS)
    (path / "config.json").write_text(document)
    with pytest.raises(InputError):
        read_archive(path)


def test_a_newer_format_is_refused_and_the_cure_named(tmp_path):
    path = save_archive(tmp_path / "m", CONFIG, TENSORS)
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, "format": FORMAT + 1}))
    with pytest.raises(InputError, match=rf"format {FORMAT + 1}, newer than {FORMAT}; update"):
        read_archive(path)


def _turn_a_digit(path):
    text = path.read_text().replace('"n": 3', '"n": 4')
    path.write_text(text)


def _turn_a_bit(path):
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)


def _take_the_checksum_away(path):
    config = json.loads(path.read_text())
    del config["checksum"]
    path.write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("config.json", _turn_a_digit),
        ("config.json", _take_the_checksum_away),
        ("model.safetensors", _turn_a_bit),
    ],
    ids=["a digit", "no checksum", "a bit"],
)
def test_any_change_after_the_save_is_refused(tmp_path, name, change):
    path = save_archive(tmp_path / "m", CONFIG, TENSORS)
    change(path / name)
    with pytest.raises(InputError, match="not as it was saved"):
        read_archive(path)


def test_a_folder_may_be_moved_and_its_configuration_written_anew(tmp_path):
    """The order of entries and the blanks between them are not part of the model."""
    path = save_archive(tmp_path / "m", {"a": [float("nan"), 1e-300, "\u00e4"]}, TENSORS)
    config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    text = json.dumps(dict(reversed(config.items())), ensure_ascii=False)
    (path / "config.json").write_text(text, encoding="utf-8")
    read_archive(path.rename(tmp_path / "elsewhere"))


def test_nothing_is_pickled(tmp_path):
    path = save_archive(tmp_path / "m", CONFIG, TENSORS)
    assert set(safetensors.torch.load_file(path / "model.safetensors")) == set(TENSORS)
    json.loads((path / "config.json").read_text(encoding="utf-8"))


def test_a_text_file_is_written_in_one_move(tmp_path):
    write_text(tmp_path / "a.txt", "first")
    write_text(tmp_path / "a.txt", "zweite Fassung, größer")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "zweite Fassung, größer"
    assert names(tmp_path) == ["a.txt"]


def test_an_interrupted_text_keeps_the_old_one(tmp_path):
    write_text(tmp_path / "a.txt", "first")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a.txt", "half \ud800")
    assert (tmp_path / "a.txt").read_text() == "first"
    assert names(tmp_path) == ["a.txt"]
