"""Tables that are measured again, in part or on fewer photos, lose nothing of what a page has."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

OLD = """20 photos, of which the network names 66 % rightly. Others stand beside `cam`.

| method | photos | drop | beside `cam` |
| --- | --- | --- | --- |
| `cam` | 20 | 12.0 |  |
| `grad_cam` | 20 | 13.0 | +1.0 |
| `random` | 20 | 40.0 | +28.0 |

| method | photos | energy |
| --- | --- | --- |
| `cam` | 20 | 60.0 |

- `rise` is a probe here, and is not measured
- `chefer` is refused: no token"""
NEW = """20 photos, of which 10 are measured; of these the network names 70 % rightly. Others stand beside `cam`.

| method | photos | drop | beside `cam` |
| --- | --- | --- | --- |
| `cam` | 10 | 11.0 |  |
| `grad_cam` | 20 | 14.0 | +3.0 |
| `rise` | 10 | 9.0 | -2.0 |
| `random` | 10 | 41.0 | +30.0 |

- `legrad` is refused: no token"""


@pytest.fixture
def merging(scripts: None) -> ModuleType:
    return importlib.import_module("studies.merging")


def test_a_line_of_more_photos_stays(merging: ModuleType) -> None:
    assert (
        merging.merged(OLD, NEW)
        == """20 photos, of which the network names 66 % rightly. Others stand beside `cam`.

| method | photos | drop | beside `cam` |
| --- | --- | --- | --- |
| `cam` | 20 | 12.0 |  |
| `grad_cam` | 20 | 14.0 | +3.0 |
| `rise` | 10 | 9.0 | -2.0 |
| `random` | 20 | 40.0 | +28.0 |

| method | photos | energy |
| --- | --- | --- |
| `cam` | 20 | 60.0 |

- `chefer` is refused: no token
- `legrad` is refused: no token"""
    )
    assert merging.merged(NEW, OLD).splitlines()[4:8] == [  # whichever was first; of as many photos what is new
        "| `cam` | 20 | 12.0 |  |",
        "| `grad_cam` | 20 | 13.0 | +1.0 |",
        "| `rise` | 10 | 9.0 | -2.0 |",
        "| `random` | 20 | 40.0 | +28.0 |",
    ]
    assert merging.merged(OLD, OLD) == OLD
    assert merging.merged("a first table", NEW) == NEW


def test_networks_are_columns_that_stay(merging: ModuleType) -> None:
    rule = "\n| --- | --- | --- | --- |\n"
    old = f"| method | A | B | paper |{rule}| `cam` | 1.1 | 1.2 | 1 |\n| `rise` | 500 |  | 400 |"
    new = f"| method | B | C | paper |{rule}| `cam` | 1.3 |  | 1 |\n| `lime` | 90 | 80 |  |\n| `rise` |  | 70 | 400 |"
    assert merging.merged(old, new).splitlines() == [
        "| method | A | B | C | paper |",
        "| --- | --- | --- | --- | --- |",
        "| `cam` | 1.1 | 1.3 |  | 1 |",
        "| `lime` |  | 90 | 80 |  |",
        "| `rise` | 500 |  | 70 | 400 |",
    ]


def test_a_cell_tells_its_photos(merging: ModuleType) -> None:
    figures = "| method | paper: N | A (photos) |\n| --- | --- | --- |\n| `cam` | 40.0 | {} |\n"
    pairs = "\n| ahead in the paper | behind | networks | A |\n| --- | --- | --- | --- |\n| `cam` | `rise` | 1 of 1 | {} |"
    old = (figures + pairs).format("12.0 (20)", "same: -1.0 [-2.0, -0.5], 20 photos")
    few = (figures + pairs).format("13.0 (10)", "open: +1.0 [-2.0, +2.5], 10 photos")
    many = (figures + pairs).format("13.0 (30)", "open: +1.0 [-2.0, +2.5], 30 photos")
    assert merging.merged(old, few) == old
    assert merging.merged(old, many) == many
    assert merging.merged(old, figures.format("13.0 (30)")) == old.replace("12.0 (20)", "13.0 (30)")


def test_a_page_keeps_what_is_of_more_photos(merging: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(sys.modules["studies.pages"].marked({"net": OLD}))
    sys.modules["studies.pages"].write({"net": NEW}, [page], {}, merging.merged)
    assert page.read_text() == sys.modules["studies.pages"].marked({"net": merging.merged(OLD, NEW)})


def test_tables_of_the_pages_stay_as_they_are_beside_nothing_new(merging: ModuleType) -> None:
    """The pages that people read are what is merged: each table is read whole."""
    pages = sys.modules["studies.pages"]
    for name in ("methods", "published", "int8"):
        text = (pages.ROOT / "docs" / "measured" / f"{name}.md").read_text(encoding="utf-8")
        for part in text.split("<!-- table: ")[1:]:
            section = part.partition(" -->")[2].partition("<!-- end -->")[0].strip()
            assert merging.merged(section, section) == section
