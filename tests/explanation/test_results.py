"""Results are compared, shown in notebooks, laid over the photo, and written so that they can be read again."""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from results import EMPTY, HOSTILE, RESULTS, boxes, classes, heads, match

import openvino_xai as xai
from openvino_xai.errors import InputError, OutputError, OvxaiError
from openvino_xai.explanation import Explanation, HeadsExplanation
from openvino_xai.render.overlay import on_photo
from openvino_xai.tables import shown

ALL: dict[str, Callable[[], Any]] = {**RESULTS, **EMPTY}


@pytest.mark.parametrize("kind", ALL)
def test_what_is_saved_is_loaded(kind: str, tmp_path: Path) -> None:
    result = ALL[kind]()
    files = result.save(str(tmp_path / "out"))
    assert all(Path(path).is_file() for file in files for path in file.values())
    stem = result.path.stem if result.path else "image"
    for source in (tmp_path / "out", str(tmp_path / "out" / f"{stem}.npz")):
        again = type(result).load(source)
        assert again == result
        assert type(again) is type(result)
    result.save(tmp_path / "alone.npz")
    assert type(result).load(tmp_path / "alone.npz") == result
    assert len(list(tmp_path.iterdir())) == 2


def test_kinds_are_told_apart(tmp_path: Path) -> None:
    heads().save(tmp_path / "heads.npz")
    boxes().save(tmp_path / "boxes.npz")
    with pytest.raises(InputError, match=r"holds a HeadsExplanation: openvino_xai.HeadsExplanation.load reads it"):
        xai.Explanation.load(tmp_path / "heads.npz")
    assert isinstance(Explanation.load(tmp_path / "boxes.npz"), xai.DetectionExplanation)
    with pytest.raises(InputError, match=r"there are 2 of them \(boxes.npz, heads.npz"):
        xai.Explanation.load(tmp_path)
    with pytest.raises(InputError, match="there are none"):
        xai.Explanation.load(Path(__file__).parent)


def test_places_where_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", "\0", tmp_path / "file" / "below"):
        with pytest.raises(OutputError):
            classes().save(place)
    for place in ("out.png", "out.JPG", None, "", 3.5, b"out", object()):
        with pytest.raises(InputError):
            classes().save(place)  # type: ignore[arg-type]
    for name in ("../up", "a/b", 3, "\0"):
        with pytest.raises(InputError):
            classes().save(tmp_path, name)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def changed_archive(path: Path, change: Callable[[dict[str, Any]], None] = lambda facts: None, **members: bytes) -> Path:
    """An archive with other facts or members."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    facts = json.loads(content["facts.json"])
    change(facts)
    content |= {"facts.json": json.dumps(facts).encode()} | {name.replace("_", "."): data for name, data in members.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def npy(array: np.ndarray, *, pickled: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=pickled)
    return file.getvalue()


def fields(facts: dict[str, Any]) -> dict[str, Any]:
    parts: dict[str, Any] = facts["result"]["fields"]
    return parts


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts.update(version=2),
        lambda facts: facts.update(result=3),
        lambda facts: facts.update(result=[]),
        lambda facts: facts["result"].update(kind="Hooked"),
        lambda facts: facts["result"].update(kind="OvxaiError", fields={}),
        lambda facts: facts["result"].update(kind="Prediction", fields={"id": 3, "label": "", "probability": 1}),
        lambda facts: fields(facts).update(maps={"array": 99}),
        lambda facts: fields(facts).update(maps={"array": "../up"}),
        lambda facts: fields(facts).update(maps={"array": 0}),
        lambda facts: fields(facts).update(image=None),
        lambda facts: fields(facts).update(box={"tuple": [0, 0, 0, 0]}),
        lambda facts: fields(facts).update(box={"tuple": ["a", 0, 1, 1]}),
        lambda facts: fields(facts).update(path=3),
        lambda facts: fields(facts).update(record={"map": [["a", 3]]}),
        lambda facts: fields(facts).update(record={"map": [3]}),
        lambda facts: fields(facts).update(targets={"tuple": []}),
        lambda facts: fields(facts).update(targets={"tuple": [3, 4]}),
        lambda facts: fields(facts).update(answers="many"),
        lambda facts: fields(facts).update(show=3),
        lambda facts: fields(facts).pop("maps"),
        lambda facts: fields(facts)["targets"]["tuple"][0]["fields"].update(probability="much"),
        lambda facts: fields(facts).update(preprocessing={"map": [["a", eval("[" * 50 + "]" * 50)]]}),
    ],
)
def test_forged_files_are_refused(change: Callable[[dict[str, Any]], None], tmp_path: Path) -> None:
    classes().save(tmp_path / "a.npz")
    with pytest.raises(InputError, match=r"a.npz (is no explanation|holds a)"):
        xai.Explanation.load(changed_archive(tmp_path / "a.npz", change))


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    classes().save(path)
    intact = path.read_bytes()
    huge = npy(np.zeros((3, 3), np.float32)).replace(b"(3, 3)", b"(3, 9)")
    wide = npy(np.zeros((3, 3), np.float32)).replace(b"(3, 3), }      ", b"(3333333333,), ")
    for member in (huge, wide, npy(np.array([{}], object), pickled=True), b"", b"junk", npy(np.array(["a"]))):
        path.write_bytes(intact)
        with pytest.raises(InputError, match="no explanation"):
            xai.Explanation.load(changed_archive(path, **{"1_npy": member}))
    for content in (b"", b"PK\3\4", intact[:-30], intact[40:], intact[:60] + b"\xff" * 20 + intact[80:]):
        path.write_bytes(content)
        with pytest.raises(InputError, match="no explanation|cannot read"):
            xai.Explanation.load(path)
    np.savez(path, maps=np.zeros(3))
    with pytest.raises(InputError, match="no explanation"):
        xai.Explanation.load(path)
    for place in (tmp_path / "none.npz", "/dev/zero", "\0", None, 3.5, "", b"a.npz"):
        with pytest.raises(InputError):
            xai.Explanation.load(place)  # type: ignore[arg-type]


@pytest.mark.parametrize("cut", range(0, 1500, 211))
def test_broken_bytes_never_raise_anything_else(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    classes().save(path)
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(cut)
    for place in rng.integers(0, len(content), 12):
        content[place] = int(rng.integers(0, 256))
    path.write_bytes(content)
    with suppress(OvxaiError):
        xai.Explanation.load(path)


def test_results_are_the_same_where_all_is() -> None:
    first = classes()
    assert first == replace(first)
    for other in (
        replace(first, maps=first.maps + np.float32(1e-6)),
        replace(first, image=first.image[:, ::-1]),
        replace(first, path=None),
        replace(first, record={}),
        replace(first, targets=first.targets[::-1]),
        replace(first, answers=None),
        replace(first, maps=first.maps.astype(np.float64)),
        boxes(),
        None,
        3,
    ):
        assert first != other
    assert heads() != match()
    with pytest.raises(TypeError, match="unhashable"):
        hash(first)


def test_maps_in_the_photo_lie_where_the_model_looked() -> None:
    result = classes()
    maps = result.maps_in_photo()
    assert maps.shape == (2, 60, 80) and maps.dtype == np.float32
    for saliency, in_photo in zip(result.maps, maps, strict=True):
        values, coverage = on_photo(saliency, (60, 80), result.box)
        np.testing.assert_array_equal(np.isnan(in_photo), ~coverage)
        np.testing.assert_array_equal(in_photo[coverage], values[coverage])
    assert np.isnan(maps[:, :, :10]).all() and np.isnan(maps[:, :, 70:]).all()  # the box is 10 to 70
    assert (result.maps_in_photo(outside=0)[:, :, :10] == 0).all()
    np.testing.assert_array_equal(result.maps_in_photo([1]), maps[1:])
    np.testing.assert_array_equal(result.maps_in_photo([-1]), maps[1:])
    nearest = result.maps_in_photo(smoothing="nearest")
    assert set(np.unique(nearest[0][~np.isnan(nearest[0])])) <= set(result.maps[0].ravel())
    first, second = match().maps_in_photos()
    assert first.shape == (60, 80) and second.shape == (30, 80)
    for targets in ([2], [-3], ["a"], 0, [True], [0.5]):
        with pytest.raises(InputError, match="indices of targets"):
            result.maps_in_photo(targets)  # type: ignore[arg-type]


class Page(HTMLParser):
    """The tags and texts of a page, outside of style sheets."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize("kind", ALL)
def test_a_notebook_has_a_switch(kind: str) -> None:
    result = ALL[kind]()
    piece = result._repr_html_()
    page = Page(piece)
    pictures = list(result.pictures())
    assert len(page.all("img")) == len(pictures)
    assert len(page.all("input")) == (len(pictures) if len(pictures) > 1 else 0)
    assert len([button for button in page.all("input") if "checked" in button]) == min(1, len(page.all("input")))
    assert {tag for tag, _ in page.tags} <= {"div", "style", "input", "label", "img", "p"}  # of a hostile label, no tag is left
    assert not re.search(r"https?://|<script|onerror=a.*?<", re.sub(r"&lt;.*?&gt;", "", piece))
    for picture, image in zip(pictures, page.all("img"), strict=True):
        kind_of_file, _, data = (image["src"] or "").partition(",")
        assert kind_of_file == "data:image/jpeg;base64"
        pixels = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR_RGB)
        assert np.abs(pixels.astype(int) - picture.picture).mean() < 12
        assert image["alt"] == shown(picture.caption)
    assert piece != result._repr_html_() or len(pictures) == 1  # two pieces on one page have buttons of their own


def test_a_switch_says_what_it_leaves_out() -> None:
    assert Page(boxes(60)._repr_html_()).text.endswith("and more, which grid() draws")


@pytest.mark.parametrize("kind", ALL)
def test_texts_are_short_lines(kind: str) -> None:
    text = repr(ALL[kind]())
    assert len(text) < 600
    assert "\x1b" not in text and "\n" not in text
    assert type(ALL[kind]()).__name__ in text


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["classes", "boxes", "regions"])
def test_a_plot_has_the_photo_the_map_and_a_bar(kind: str) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    result = ALL[kind]()
    axes = result.plot(1, colormap="turbo")
    photo, saliency = (image.get_array() for image in axes.images)
    np.testing.assert_array_equal(photo, result.base(1))
    np.testing.assert_array_equal(np.ma.filled(saliency, np.nan), result.maps_in_photo([1])[0])
    assert len(axes.figure.axes) == 2  # the bar
    assert axes.get_title() == "".join(letter for letter in result.caption(1) if letter.isprintable())
    axes.figure.canvas.draw()
    _, mine = pyplot.subplots()
    assert result.plot(axes=mine) is mine
    pyplot.close("all")


def test_without_matplotlib_plot_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"pip install 'ovxai\[plot\]'"):
        classes().plot()


def test_a_target_that_is_not_there() -> None:
    for target in (2, -3, "a", None, 0.5):
        for draw in (classes().plot, classes().overlay, classes().heatmap, classes().contours):
            with pytest.raises(InputError, match="0 to 1 are there"):
                draw(target)
    with pytest.raises(InputError, match="none is there"):
        boxes(0).overlay()


def test_what_no_explanation_holds_is_refused() -> None:
    good = classes()
    for change in (
        {"maps": good.maps[:1]},
        {"maps": None},
        {"maps": good.maps[0]},
        {"image": good.image.astype(float)},
        {"box": None},
        {"targets": None},
        {"record": None},
        {"path": "cat.png"},
    ):
        with pytest.raises(InputError, match="of an explanation is not"):
            replace(good, **change)
    with pytest.raises(InputError):
        HeadsExplanation({})
    assert HOSTILE in good.targets[0].label
