"""Commands and Python of docs/ are run, page by page, in a folder with the samples; what is not run has a reason."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from tiny import tiny

from openvino_xai.cli.app import main

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SAMPLES = ROOT / "samples"
LANGUAGES = {"console", "python", "text", "bash"}  # of which the last are those of the README, which .ci/run runs
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ELSEWHERE = {
    "architecture.md": "tests/docs/test_architecture_page.py runs it, and compares what it prints",
    "own_method.md": "tests/docs/test_python_pages.py runs it, and compares what it prints",
    "python.md": "tests/docs/test_python_pages.py runs it, and compares what it prints",
}
NOT_RUN = {  # by their first line
    "$ ovxai ui samples/models/efficientnet_lite0.xml samples/images": "serves until Ctrl-C; tests/ui try the page",
    "$ python scripts/costs/page.py samples/models/efficientnet_lite0.xml samples/images/*": "measures times",
    "$ python scripts/gpu.py --provider CUDAExecutionProvider --output gpu.md": "wants a GPU; tests/accelerators rehearse it",
    "$ ovxai explain samples/models/efficientnet_lite0.xml samples/images/cat.png --output out/ablation "
    "--method ablation_cam": "asks the network 1280 times",
    "$ ovxai explain samples/models/ultraface_rfb320.xml samples/faces/astronaut.png --output out/": "the README runs it",
    "$ ovxai evaluate detector_xai.onnx photos/ --boxes boxes.json --output scores/": "wants photos with boxes",
    "$ ovxai explain model.onnx photo.jpg -o out --preprocess auto --examples examples/": "wants many labelled photos",
}


def blocks(page: Path) -> list[tuple[str, str]]:
    """The language and the text of each block of a page."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def pages() -> list[Path]:
    """Pages with commands or Python."""
    return [page for page in sorted(DOCS.rglob("*.md")) if any(kind in ("console", "python") for kind, _ in blocks(page))]


def other_tasks(folder: Path) -> None:
    """Models whose outputs are a vector, classes of pixels, and two heads; photos."""
    photos(folder)
    features = "f = Conv <pads=[1,1,1,1]> (image, k) g = Relu(f) "
    vector = features + "p = GlobalAveragePool(g) logits = Flatten(p)"
    onnx.save(tiny(vector, image=(3, 24, 24), output="float[B,8] logits", k=(8, 3, 3, 3)), folder / "embedder.onnx")
    pixels = features + "logits = Conv <pads=[1,1,1,1]> (g, c)"
    segmenter = tiny(pixels, image=(3, 24, 24), output="float[B,4,24,24] logits", k=(8, 3, 3, 3), c=(4, 8, 3, 3))
    onnx.save(segmenter, folder / "segmenter.onnx")
    heads = features + "p = GlobalAveragePool(g) v = Flatten(p) color = MatMul(v, a) shape = MatMul(v, b)"
    outputs = "float[B,5] color, float[B,3] shape"
    onnx.save(tiny(heads, image=(3, 24, 24), output=outputs, k=(8, 3, 3, 3), a=(8, 5), b=(8, 3)), folder / "two.onnx")
    (folder / "shapes.txt").write_text("round\nsquare\nflat\n")


def plain_model(folder: Path) -> None:
    """The sample network without its `model_info`, plain and hooked; its labels; photos, and labelled ones."""
    photos(folder)
    model = onnx.load(SAMPLES / "models" / "efficientnet_lite0_int8.onnx")
    del model.metadata_props[:]
    onnx.save(model, folder / "model.onnx")
    shutil.copy(SAMPLES / "models" / "imagenet_labels.txt", folder / "names.txt")
    for label, photo in {"Egyptian cat": "cat", "espresso": "cup"}.items():
        (folder / "examples" / label).mkdir(parents=True)
        shutil.copy(folder / "photos" / f"{photo}.jpg", folder / "examples" / label)


def photos(folder: Path) -> None:
    """Photos by the names that pages call them by."""
    (folder / "photos").mkdir()
    for name, source in {"a": "cat", "b": "coffee", "photo": "cat", "photos/cat": "cat", "photos/cup": "coffee"}.items():
        picture = cv2.imread(str(SAMPLES / "images" / f"{source}.png"))
        cv2.imwrite(str(folder / f"{name}.jpg"), np.ascontiguousarray(picture))


NEEDS: dict[str, Callable[[Path], None]] = {"tasks.md": other_tasks, "preprocessing.md": plain_model}


@pytest.mark.slow
@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(DOCS).as_posix())
def test_blocks_in_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands and Python as a reader would type them, one after the other; what a page shows as printed is printed."""
    name = page.relative_to(DOCS).as_posix()
    if name in ELSEWHERE:
        return
    shutil.copytree(SAMPLES, tmp_path / "samples", ignore=shutil.ignore_patterns("*_xai*", "pictures"))
    NEEDS.get(name, lambda _: None)(tmp_path)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}  # what one block of Python leaves is there for the next
    for language, text in blocks(page):
        if text.splitlines()[0] in NOT_RUN:
            continue
        if language == "python":
            exec(compile(text, name, "exec"), names)
        elif language == "console":
            for command, expected in transcripts(text):
                capsys.readouterr()
                run(command, monkeypatch)
                assert matches(expected, capsys.readouterr().out), command


def transcripts(text: str) -> list[tuple[str, str]]:
    """Each command of a block, with what it prints as the page has it: nothing where the page leaves that out."""
    parts = re.split(r"^\$ ", text, flags=re.MULTILINE)
    assert not parts[0], f"not a command: {parts[0]}"
    return [(command, printed) for command, _, printed in (part.partition("\n") for part in parts[1:])]


def matches(expected: str, printed: str) -> bool:
    """Whether a page shows what is printed; `...` stands for anything within a line."""
    pattern = re.escape(expected.strip()).replace(re.escape("..."), ".*")
    return not expected or re.fullmatch(pattern, printed.strip()) is not None


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command line in this process; it must end well."""
    program, *arguments = shlex.split(command)
    assert program == "ovxai", command
    monkeypatch.setattr(sys, "argv", ["ovxai", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code, command


def test_every_block_is_of_a_known_language() -> None:
    for page in sorted(DOCS.rglob("*.md")):
        for language, text in blocks(page):
            assert language in LANGUAGES, f"{page.name}: ```{language} is run by nothing: {text}"


def test_commands_that_set_up_are_the_readmes() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in sorted(DOCS.rglob("*.md")):
        for language, text in blocks(page):
            assert language != "bash" or text in readme


def test_reasons_are_of_blocks_that_are_there() -> None:
    first_lines = {text.splitlines()[0] for page in pages() for _, text in blocks(page)}
    assert set(NOT_RUN) <= first_lines
    assert set(NEEDS) | set(ELSEWHERE) <= {page.relative_to(DOCS).as_posix() for page in pages()}


def test_what_is_printed_otherwise_is_seen() -> None:
    assert matches("a ... c\n", "a b c\n") and matches("", "anything") and not matches("a ... c\n", "a b d\n")
    assert transcripts("$ ovxai a\nb\n$ ovxai c\n") == [("ovxai a", "b\n"), ("ovxai c", "")]
