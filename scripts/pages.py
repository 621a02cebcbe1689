"""Pages of the documentation that the code tells: written, or held to what is written.

    python scripts/pages.py [--check]

The exit status of `--check` is 1 where a page is not current, and the names of such pages are printed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from documentation.api import api
from documentation.command_line import command_line
from documentation.method_table import with_methods
from documentation.operations import operations
from documentation.summary import summary

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {
    "operations.md": operations,
    "reference/command_line.md": command_line,
    "reference/api.md": api,
    "methods.md": lambda: with_methods((DOCS / "methods.md").read_text(encoding="utf-8")),
    "llms.txt": lambda: summary(ROOT),  # what stands in the pages above is told there, so it comes last
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    stale = False
    for name, page in PAGES.items():
        path = DOCS / name
        text = page()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale = True
        if options.check:
            print(f"docs/{name} is not current: python scripts/pages.py writes it", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    sys.exit(stale and options.check)


if __name__ == "__main__":
    main()
