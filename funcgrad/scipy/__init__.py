"""SciPy's functions that do not dispatch on their arguments, with SciPy's names and signatures.

`from funcgrad.scipy import linalg` in place of `from scipy import linalg` is all a program needs.
The ufuncs of `scipy.special` need no such import: they work on traced arrays as they are.
Importing funcgrad does not import this package, and only this package imports SciPy.
"""
