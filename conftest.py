"""Leaves out of the collection what needs SciPy, where it is not installed."""

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).parent
IMPORTS_SCIPY = re.compile(r"^>>> (from|import) (funcgrad\.)?scipy", re.MULTILINE)

collect_ignore_glob = []
if importlib.util.find_spec("scipy") is None:
    pages = [page for page in ROOT.glob("**/*.md") if IMPORTS_SCIPY.search(page.read_text())]
    collect_ignore_glob += ["funcgrad/scipy/*", *[str(page) for page in pages]]
