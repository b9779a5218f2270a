"""Writes `docs/coverage.md`: the counts over the rows, what fails and why, and each function's state."""

import warnings
from collections import Counter
from collections.abc import Iterable

import numpy as np

from tools.coverage.checks import MODES, check
from tools.coverage.probes import REASONS, SPELLED, rows, samples
from tools.coverage.states import NAMESPACES, states

HEAD = """# Coverage

What of NumPy and `scipy.special` works under the transforms. This page is generated,
from NumPy {numpy} and SciPy {scipy}:

```text
python -m tools.coverage           prints the counts
python -m tools.coverage --write   writes this page
```

## Counts

The rows are the public functions, ndarray methods, operators and ufunc methods whose result depends
on an argument other than stepwise (and {zero} whose derivative is zero everywhere), some in several calling
forms. Each is run: reverse and forward mode and second order against central differences, `vmap` against
a loop.

"""

STATES = """
## Every public function

| state | meaning |
|---|---|
| derivative | a rule of its own |
| composite | differentiated through the primitives that it is made of |
| constant | no derivative: a plain result, which `vmap` maps |
| mirror | SciPy converts its arguments; the same name in `funcgrad.scipy.special` is differentiated |
| raises | an error, with the way out |
| no arrays | takes no array of numbers |
"""


def versions() -> tuple[str, str]:
    """Return the minor versions of NumPy and SciPy."""
    import scipy  # optional everywhere else

    numpy, other = [".".join(v.split(".")[:2]) for v in (np.__version__, scipy.__version__)]
    return numpy, other


def _table(head: Iterable[str], body: Iterable[Iterable[str]]) -> str:
    lines = [list(head), ["---"] * len(list(head)), *map(list, body)]
    return "\n".join([f"| {' | '.join(line)} |" for line in lines]) + "\n"


def _code(name: str) -> str:
    return f"`{name}`"


def failures() -> tuple[int, dict[str, dict[str, str]]]:
    """Return how many rows the installed NumPy and SciPy have, and why those that fail do."""
    found = samples()
    with warnings.catch_warnings():  # of NumPy, about what the samples compute
        warnings.simplefilter("ignore")
        failed = {name: check(sample) for name, sample in found.items()}
    return len(found), {name: modes for name, modes in failed.items() if modes}


def counts(total: int, failed: dict[str, dict[str, str]]) -> str:
    """Return the table of counts."""
    missing = Counter(mode for modes in failed.values() for mode in modes)
    return _table(
        ("mode", "rows that work", "share"),
        [
            (mode, f"{total - missing[mode]} of {total}", f"{1 - missing[mode] / total:.1%}")
            for mode in MODES
        ],
    )


def missing(failed: dict[str, dict[str, str]]) -> str:
    """Return the rows that fail, with the reason."""
    body = []
    for name, modes in failed.items():
        reason = REASONS.get(name, next(iter(modes.values())))
        body.append((_code(name), "all" if len(modes) == len(MODES) else ", ".join(modes), reason))
    return _table(("row", "fails in", "reason"), body)


def page() -> str:
    """Return the text of the page."""
    numpy, scipy = versions()
    total, failed = failures()
    zero = sum([not smooth for _, smooth in rows()])
    loops = [name for name, sample in samples().items() if sample and not sample.vmap]
    parts = [
        HEAD.format(numpy=numpy, scipy=scipy, zero=zero),
        counts(total, failed),
        "\nNot all of it works:\n\n",
        missing(failed),
        "\nCounted as working, in another spelling, because the plainest does not reach funcgrad:\n\n",
        _table(("row", "write"), [(_code(n), _code(s)) for n, s in SPELLED.items()]),
        '\nMapped by `vmap(f, fallback="loop")`, as the shape of the result depends on the data: ',
        f"{', '.join(map(_code, loops))}.\n",
        STATES,
    ]
    found = states()
    for namespace in NAMESPACES:
        mine = {n: s for n, s in found.items() if n.rpartition(".")[0] == namespace}
        number = Counter(state for state, _ in mine.values())
        parts += [
            f"\n### {namespace}\n\n",
            f"{', '.join([f'{n} {state}' for state, n in sorted(number.items())])}.\n\n",
            _table(("function", "state", ""), [(_code(n), *s) for n, s in mine.items()]),
        ]
    return "".join(parts)
