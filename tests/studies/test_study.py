"""The study of all methods: rows that are kept, shards, refusals, and from how many photos on two methods differ."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from colours import colour_model, photo_examples

from openvino_xai.evaluate.classes.metrics import overall

METHODS = "reciprocam,vit_reciprocam,cam,saliency"


@pytest.fixture
def options_of_a_study(tmp_path: Path) -> list[str]:
    """The options of a study of a tiny network on ten photos."""
    model, photos = tmp_path / "it's | a `model`.onnx", tmp_path / "photos"
    onnx.save(colour_model(), model)
    examples = photo_examples(photos)
    examples[0].path.rename(examples[0].path.with_name('a\nb|`"c.png'))
    return ["--work", str(tmp_path / "work"), "--model", str(model), "--photos", str(photos), "--methods", METHODS]


def lines(work: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(work.rglob("rows.jsonl")) for line in path.read_text().splitlines()]


def counted(study: ModuleType, monkeypatch: pytest.MonkeyPatch, stop_after: int = 10**6) -> list[Path]:
    """The photos that are measured from now on; after some of them somebody presses Ctrl-C."""
    photos: list[Path] = []
    rows = sys.modules["studies.rows"]
    original = rows.evaluate

    def evaluate(network: Any, examples: Sequence[Any], *args: Any, **kwargs: Any) -> Iterator[Any]:
        for example, row in zip(examples, original(network, examples, *args, **kwargs), strict=True):
            if len(photos) == stop_after:
                raise KeyboardInterrupt
            photos.append(example.path)
            yield row

    monkeypatch.setattr(rows, "evaluate", evaluate)
    return photos


@pytest.mark.slow
def test_a_row_is_measured_once_and_a_refusal_is_one(
    study: ModuleType, options_of_a_study: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = [*options_of_a_study, "--causal", "0"]
    with monkeypatch.context() as stopped:
        counted(study, stopped, stop_after=13)
        assert study.main(options) == study.STOPPED
    assert len(lines(tmp_path / "work")) == 13
    file = next((tmp_path / "work").rglob("saliency/**/rows.jsonl"), None)
    assert file is None  # the third method had no turn
    journal = next((tmp_path / "work").rglob("rows/*/cam/*/*/rows.jsonl"))
    with journal.open("a") as torn:
        torn.write('{"image": "half a li')
    photos = counted(study, monkeypatch)
    assert study.main(options) == 0
    assert len(photos) == 3 * 10 - 13
    assert study.main(options) == 0
    assert len(photos) == 3 * 10 - 13
    page = (tmp_path / "work" / "maps.md").read_text()
    assert "- `vit_reciprocam` is refused: vit_reciprocam needs an attention block" in page
    for name in ("reciprocam", "cam", "saliency", "gaussian", "random", "fake_cam"):
        assert f"| `{name}` | 10 | " in page


def test_a_photo_that_cannot_be_read_is_told(
    study: ModuleType, options_of_a_study: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos" / "1" / "0.png").write_bytes(b"no photo")
    assert study.main([*options_of_a_study[:-1], "cam", "--causal", "0"]) == 0
    assert capsys.readouterr().err.count("skipped: ") == 1
    assert "| `cam` | 9 | " in (tmp_path / "work" / "maps.md").read_text()


def test_a_table_of_nothing_tries_nothing(study: ModuleType, options_of_a_study: list[str], tmp_path: Path) -> None:
    assert study.main([*options_of_a_study, "--table"]) == 0
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == ["maps.md"]


@pytest.mark.slow
def test_shards_make_the_whole(study: ModuleType, options_of_a_study: list[str], tmp_path: Path) -> None:
    options = [*options_of_a_study, "--few", "2", "--causal", "4"]
    assert study.main(options) == 0
    page = (tmp_path / "work" / "maps.md").read_text()
    parts = ["--work", str(tmp_path / "parts"), *options[2:]]
    for part in ("2/3", "1/3", "3/3"):
        assert study.main([*parts, "--shard", part]) == 0
    assert not (tmp_path / "parts" / "maps.md").exists()
    assert study.main([*parts, "--table"]) == 0
    assert (tmp_path / "parts" / "maps.md").read_text() == page
    assert len(lines(tmp_path / "parts")) == len(lines(tmp_path / "work")) == 3 * (10 + 4)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--shard", "5/4"], "'5/4' is no shard: 1/4 to 4/4 are expected of 4"),
        (["--shard", "0/4"], "1 or more is expected"),
        (["--shard", "2"], "1 or more is expected"),
        (["--methods", "cam,nope"], "there is no method 'nope': of reciprocam"),
        (["--data", "nowhere\n"], "there is no file or folder 'nowhere\\n'"),
        (["--limit", "-1"], "'-1' is no number of 0 or more"),
        (["--few", "0"], "1 or more is expected"),
        (["--processes", "2", "--shard", "1/2"], "leave --shard out"),
        (["times", "--processes", "2"], "times is of one process"),
        (["guess"], "invalid choice: 'guess'"),
    ],
)
def test_wrong_options_are_refused(
    study: ModuleType, options: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        study.main(["--work", str(tmp_path / "work"), *options])
    assert end.value.code == 2
    assert text in capsys.readouterr().err
    assert not (tmp_path / "work").exists()


def test_what_cannot_be_compared_is_refused(
    study: ModuleType, options_of_a_study: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twin, text, empty = tmp_path / "other" / Path(options_of_a_study[3]).name, tmp_path / "text.onnx", tmp_path / "empty"
    twin.parent.mkdir()
    onnx.save(colour_model(), twin)
    text.write_text("no model")
    empty.mkdir()
    work = options_of_a_study[:2]
    for options, message in (
        ([*options_of_a_study, "--model", str(twin)], "two networks have one name among folders"),
        ([*options_of_a_study, "--only", "none"], "no network is called none"),
        ([*work, "--model", str(text)], "text.onnx"),
        (["--work", str(text), *options_of_a_study[2:]], "a folder is expected where a file is"),
        ([*work, "--model", str(twin), "--photos", str(empty)], "no image was found in"),
    ):
        assert study.main(options) == 2
        assert message in capsys.readouterr().err
    assert not lines(tmp_path / "work")


def rows_of(values: np.ndarray) -> list[dict[str, Any]]:
    return [{"image": str(index), "target": 0, "metrics": {"insertion": float(value)}} for index, value in enumerate(values)]


def slow_needed(tables: ModuleType, first: np.ndarray, second: np.ndarray) -> int | None:
    """The least count from which on each count that is tried leaves 0 out of a bootstrap of its own."""
    needed = None
    for count in sorted({*(count for count in tables.COUNTS if count < len(first)), len(first)}):
        rng, gaps = np.random.default_rng(5), (first - second)[:count]
        means = [gaps[rng.integers(0, count, count)].mean() for _ in range(1000)]
        settles = np.percentile(means, 2.5) > 0 or np.percentile(means, 97.5) < 0
        needed = (needed or count) if settles else None
    return needed


@pytest.mark.slow
def test_from_how_many_photos_two_methods_differ(tables: ModuleType) -> None:
    rng = np.random.default_rng(0)
    base, noise = rng.random(60), rng.normal(0, 0.05, 60)
    noise[:15] = np.resize([0.06, -0.06], 15)  # the first photos tell nothing
    better = base + noise + 0.03
    better[:15] -= 0.03
    result = tables.verdict(rows_of(better), rows_of(base), "insertion", seed=0)
    assert 15 < result.needed == slow_needed(tables, better, base) < 60
    assert result.difference == pytest.approx(overall(rows_of(better))["insertion"] - overall(rows_of(base))["insertion"])
    same = tables.verdict(rows_of(base), rows_of(base), "insertion", seed=0)
    assert (same.needed, same.guess, tables.differ(same)) == (None, None, "never: the same")
    open_ = tables.verdict(rows_of(base + noise - noise.mean() + 0.003), rows_of(base), "insertion", seed=0)
    assert open_.needed is None
    assert open_.guess > 60
    assert tables.differ(open_) == f"open; {tables.rounded(open_.guess)} photos may tell"


def test_only_photos_that_both_have_are_compared(tables: ModuleType) -> None:
    """Methods with few photos stand beside the same photos of the other; a mean of all would be another."""
    base = np.linspace(0, 1, 40)
    result = tables.verdict(rows_of(base[:12] + 0.01), rows_of(base), "insertion", seed=0)
    assert (result.photos, result.needed) == (12, 10)
    assert result.difference == pytest.approx(0.01)
    few = tables.verdict(rows_of(base[:9] + 0.01), rows_of(base), "insertion", seed=0)
    assert (few.interval, few.needed, tables.differ(few)) == (None, None, "fewer than 10 photos")


class Study:
    """A study that is measured already: rows by method, of which some methods take long."""

    def __init__(self, study: ModuleType, rows: dict[str, list[dict[str, Any]]], slow: str) -> None:
        self.study, self.plan = type("Study", (), {"title": "A net"}), study.Plan(Path(), methods=tuple(rows))
        self.name, self.reference, self.examples, self.of_method, self.slow = "a_net", next(iter(rows)), [0] * 20, rows, slow

    def rows(self, method: str) -> list[dict[str, Any]]:
        return self.of_method[method]

    def place(self, method: str) -> Any:
        return sys.modules["studies.rows"].Place(
            "probe" if method == self.slow else "hook", cost=1e3 if method == self.slow else 1
        )


def measured_rows(names: Sequence[str], gaps: np.ndarray) -> list[dict[str, Any]]:
    """Rows of photos with the same value of each metric, and of baselines another."""
    return [
        {
            "image": str(index),
            "target": 0,
            "label": 0,
            "predicted": 0,
            "metrics": dict.fromkeys(names, 0.5 + float(gap)),
            "baselines": {"random": dict.fromkeys(names, 0.25)},
        }
        for index, gap in enumerate(gaps)
    ]


@pytest.mark.slow
def test_what_takes_long_has_tables_of_its_own(study: ModuleType, tables: ModuleType) -> None:
    masking, others = sys.modules["studies.rows"].MASKING, sys.modules["studies.rows"].OTHERS
    rows = {"reciprocam": measured_rows(masking, np.zeros(20)), "cam": measured_rows(masking, np.zeros(20))}
    rows["rise"] = measured_rows(masking, np.full(12, 0.1))
    sections = tables.sections(Study(study, rows, "rise"))
    assert set(sections) == {"a_net", "a_net_slow"} < set(tables.headings(Study(study, rows, "rise")))
    assert "`rise`" not in sections["a_net"] and "`cam`" in sections["a_net"]
    assert "`cam`" not in sections["a_net_slow"]
    for name in ("reciprocam", "random", "rise"):
        assert f"| `{name}` | 12 |" in sections["a_net_slow"]  # the others on the same photos
    del rows["cam"]
    assert set(tables.sections(Study(study, rows, "rise"))) == {
        "a_net_slow"
    }  # beside it stand the others, in no table of theirs
    apart = {"reciprocam": measured_rows(others, np.zeros(20)), "cam": measured_rows(others, np.resize([0.3, -0.29], 20))}
    (table,) = tables.sections(Study(study, apart, "")).values()
    assert "| `cam` | 20 | ~ 50.5 [" in table
    assert "| `random` | 20 | 25.0 [25.0 - 25.0] |" in table
    assert not tables.sections(Study(study, {"reciprocam": []}, ""))


def test_a_table_without_a_place_gets_one_at_the_end(study: ModuleType, tmp_path: Path) -> None:
    write, page = sys.modules["studies.pages"].write, tmp_path / "page.md"
    page.write_text("# Page\n\n<!-- table: a -->\n\nold\n\n<!-- end -->\n")
    with pytest.raises(SystemExit, match="no page has a place for the table b"):
        write({"a": "new", "b": "more"}, [page], {"c": "C"})
    assert "old" in page.read_text()
    for lines in ("more", "most"):
        write({"a": "new", "b": lines}, [page], {"b": "A net: b"})
        first, _, second = page.read_text().partition("\n## A net: b\n\n")
        assert first == "# Page\n\n<!-- table: a -->\n\nnew\n\n<!-- end -->\n"
        assert second == f"<!-- table: b -->\n\n{lines}\n\n<!-- end -->\n"
