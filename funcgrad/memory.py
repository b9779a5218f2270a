"""How the process handles freed memory.

glibc gives freed memory back to the system as soon as 128 kB of it lie at the end of the heap, and
takes arrays above 128 kB from the system one by one; each page of them then has to be faulted in
again. A training step that keeps and frees arrays of 200 kB spends up to half its time so. Both
limits rise by themselves when a large array is freed: to its size, and to twice its size for the
memory held back.
"""

import numpy as np

LARGEST = 30 << 20  # bytes; glibc's limits rise for arrays up to 32 MB


def keep_freed_memory() -> None:
    """Let the process hold up to 60 MB of freed memory for the next arrays (a no-op off glibc)."""
    np.empty(LARGEST, np.uint8)  # freed at once, and never touched
