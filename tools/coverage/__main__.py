"""`python -m tools.coverage [--write]`: count what works, and write the page."""

import argparse
from pathlib import Path

from tools.coverage.page import counts, failures, missing, page

PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"


def main() -> None:
    """Print the counts, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    if parser.parse_args().write:
        PAGE.write_text(page(), encoding="utf-8")
        return
    total, failed = failures()
    print(counts(total, failed))
    print(missing(failed))


if __name__ == "__main__":
    main()
