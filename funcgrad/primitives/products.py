"""Products of matrices and tensors."""

import functools
import math
import string
from typing import Any

import numpy as np

from funcgrad.broadcasting import unbroadcast
from funcgrad.core import HOOKS, Primitive, as_array, existing, handle, unsupported
from funcgrad.primitives.axes import listed_axes
from funcgrad.primitives.families import bilinear
from funcgrad.primitives.plain import no_out
from funcgrad.primitives.ufuncs import conj

# --- matmul --------------------------------------------------------------------------------------


def _matmul_x(ct: Any, y: Any, x_shape: Any) -> Any:
    # d(X Y) = dX Y + X dY; vectors are matrices of one row (x) or one column (y)
    if y.ndim == 2:
        # BLAS is a third quicker on a small matrix laid out in order than on its transpose.
        return ct @ (y.T.copy() if type(y) is np.ndarray and y.size <= 1024 else y.T)
    if y.ndim == 1:
        g = np.outer(ct, y) if ct.ndim == 1 else ct[..., None] * y
    elif len(x_shape) == 1:
        g = (ct[..., None, :] @ y.mT)[..., 0, :]
    else:
        g = ct @ y.mT
    return g if g.shape == x_shape else unbroadcast(g, x_shape)


def _matmul_y(ct: Any, x: Any, y_shape: Any) -> Any:
    if x.ndim == 2 and len(y_shape) == 2:
        return x.T @ ct
    if x.ndim == 1 and len(y_shape) == 1:
        g = ct[..., None] * x
    elif x.ndim > 2 and len(y_shape) == 2:
        # One product of the joined rows is half the time of one for each matrix and their sum.
        return _rows(x).T @ _rows(ct)
    elif x.ndim == 1 and ct.ndim == 1:
        g = np.outer(x, ct)
    elif x.ndim == 1:
        g = x[:, None] * ct[..., None, :]
    elif len(y_shape) == 1:
        g = (x.mT @ ct[..., None])[..., 0]
    else:
        g = x.mT @ ct
    return g if g.shape == y_shape else unbroadcast(g, y_shape)


def _rows(x: Any) -> Any:
    """Return a stack of matrices as one matrix of all rows."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _batch_matmul(args: Any, mapped: Any, settings: Any) -> Any:
    x, y = args
    if mapped[0] and mapped[1]:
        if x.ndim == 2 and y.ndim == 2:
            return (x[:, None, :] @ y[:, :, None])[:, 0, 0]
        if x.ndim == 2:
            return (_lift(x[:, None, :], y.ndim) @ y)[..., 0, :]
        if y.ndim == 2:
            return (x @ _lift(y[:, :, None], x.ndim))[..., 0]
        ndim = max(x.ndim, y.ndim)
        return _lift(x, ndim) @ _lift(y, ndim)
    if mapped[0]:
        if x.ndim == 2 and y.ndim > 2:  # vectors against a stack of matrices
            return (_lift(x[:, None, :], y.ndim + 1) @ y)[..., 0, :]
        return (_lift(x, y.ndim + 1) if y.ndim > 2 else x) @ y
    if y.ndim == 2 and x.ndim <= 2:  # columns against a matrix
        return y @ x.T if x.ndim == 2 else y @ x
    if y.ndim == 2:
        return (x @ _lift(y[:, :, None], x.ndim + 1))[..., 0]
    return x @ (_lift(y, x.ndim + 1) if x.ndim > 2 else y)


def _lift(x: Any, ndim: int) -> Any:
    """Insert axes behind the batch axis until there are `ndim`."""
    return x.reshape((len(x),) + (1,) * (ndim - x.ndim) + x.shape[1:])


matmul = bilinear("matmul", np.matmul, vjp=(_matmul_x, _matmul_y), batch=_batch_matmul)
matmul.sums_products = True


handle("matmul")(matmul)


@handle(np.matmul, np.linalg.matmul)
def _matmul(x1: Any, x2: Any, /) -> Any:
    return matmul(as_array(x1), as_array(x2))


def _batched(primitive: Any, axes: tuple[int, int]) -> Any:
    """Return the batching of a product over the last `axes` of its arguments, batched over the others."""

    def batch(args: Any, mapped: Any, settings: Any) -> Any:
        ndim = max([x.ndim - m - n for x, m, n in zip(args, mapped, axes, strict=True)]) + 1
        xs = zip(args, mapped, axes, strict=True)
        return primitive(*[_lift(x, ndim + n) if m else x for x, m, n in xs])

    return batch


# y = sum(conj(u) v), so Re(ct dy) = Re(conj(ct v) du) + Re(ct conj(u) dv)
_vecdot: Primitive = bilinear(
    "vecdot",
    np.vecdot,
    vjp=(
        lambda ct, y, x_shape: unbroadcast(conj(ct[..., None] * y), x_shape),
        lambda ct, x, y_shape: unbroadcast(ct[..., None] * conj(x), y_shape),
    ),
    batch=lambda *batch: _batched(_vecdot, (1, 1))(*batch),
)
_matvec: Primitive = bilinear(
    "matvec",
    lambda x, y: (x @ y[..., None])[..., 0],
    vjp=(
        lambda ct, y, x_shape: unbroadcast(ct[..., :, None] * y[..., None, :], x_shape),
        lambda ct, x, y_shape: unbroadcast((x.mT @ ct[..., None])[..., 0], y_shape),
    ),
    batch=lambda *batch: _batched(_matvec, (2, 1))(*batch),
)
_vecmat: Primitive = bilinear(
    "vecmat",
    lambda x, y: (conj(x)[..., None, :] @ y)[..., 0, :],
    vjp=(
        lambda ct, y, x_shape: unbroadcast(conj((y @ ct[..., None])[..., 0]), x_shape),
        lambda ct, x, y_shape: unbroadcast(conj(x)[..., :, None] * ct[..., None, :], y_shape),
    ),
    batch=lambda *batch: _batched(_vecmat, (1, 2))(*batch),
)


@handle(np.vecdot)
def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Return the dot product of vectors along an axis; the first is conjugated."""
    x1, x2 = as_array(x1), as_array(x2)
    if axis != -1:
        x1, x2 = np.moveaxis(x1, axis, -1), np.moveaxis(x2, axis, -1)
    return _vecdot(x1, x2)


handle(np.linalg.vecdot)(vecdot)


@handle(*existing("matvec"))
def matvec(x1: Any, x2: Any, /) -> Any:
    """Return the product of matrices with vectors."""
    return _matvec(as_array(x1), as_array(x2))


@handle(*existing("vecmat"))
def vecmat(x1: Any, x2: Any, /) -> Any:
    """Return the product of (conjugated) vectors with matrices."""
    return _vecmat(as_array(x1), as_array(x2))


# --- dot, inner, outer, tensordot ----------------------------------------------------------------


@handle(np.dot)
def dot(a: Any, b: Any, out: Any = None) -> Any:
    """Return the product over the last axis of a and the last but one of b."""
    no_out("np.dot", out)
    a, b = as_array(a), as_array(b)
    if not a.ndim or not b.ndim:
        return a * b
    if b.ndim == 1 or (a.ndim <= 2 and b.ndim == 2):
        return matmul(a, b)
    return tensordot(a, b, (-1, -2))


@handle(np.vdot)
def vdot(a: Any, b: Any, /) -> Any:
    """Return the dot product of the flat arrays; the first is conjugated."""
    a, b = [x if x.ndim == 1 else x.reshape(-1) for x in (as_array(a), as_array(b))]
    return matmul(conj(a), b)


@handle(np.inner)
def inner(a: Any, b: Any, /) -> Any:
    """Return the product over the last axes."""
    a, b = as_array(a), as_array(b)
    if not a.ndim or not b.ndim:
        return a * b
    if a.ndim == b.ndim == 1:
        return matmul(a, b)
    return tensordot(a, b, (-1, -1))


_outer: Primitive = bilinear(
    "outer",
    np.outer,
    vjp=(
        lambda ct, y, x_shape: (ct @ y.reshape(-1)).reshape(x_shape),
        lambda ct, x, y_shape: (x.reshape(-1) @ ct).reshape(y_shape),
    ),
    batch=lambda args, mapped, settings: _batch_outer(args, mapped),
)
_outer.sums_products = True


def _batch_outer(args: Any, mapped: Any) -> Any:
    x, y = [_flat_rows(x) if m else x.reshape(-1) for x, m in zip(args, mapped, strict=True)]
    many = x.ndim == y.ndim and x.shape[1] * y.shape[1] >= _MANY
    if many and type(x) is type(y) is np.ndarray and x.dtype is y.dtype and x.dtype.char in "fd":
        return _outer_by_blas(x, y)
    return x[..., :, None] * y[..., None, :]


_MANY = 200  # entries of one example's product, from which on BLAS is quicker


def _outer_by_blas(x: Any, y: Any) -> Any:
    """Return the outer products of rows.

    NumPy leaves products of matrices to BLAS when they sum over two entries or more. With a row of
    zeros beside each, 256 products of 64 x 128 take 0.55 ms, broadcast 1.0, by einsum 0.75.
    """
    return _above_zeros(x).mT @ _above_zeros(y)


def _above_zeros(x: Any) -> Any:
    pairs = np.zeros((len(x), 2, x.shape[1]), x.dtype)
    pairs[:, 0] = x
    return pairs


def _flat_rows(x: Any) -> Any:
    return x.reshape((len(x), math.prod(x.shape[1:])))


@handle(np.outer)
def outer(a: Any, b: Any, out: Any = None) -> Any:
    """Return all products of the entries of a and of b."""
    no_out("np.outer", out)
    a, b = as_array(a), as_array(b)
    return _outer(a, b)


@handle(np.linalg.outer)
def linalg_outer(x1: Any, x2: Any, /) -> Any:
    """Return the outer product of two vectors."""
    x1, x2 = as_array(x1), as_array(x2)
    if x1.ndim != 1 or x2.ndim != 1:
        raise ValueError(
            f"Input arrays must be one-dimensional, but they are {x1.ndim=} and {x2.ndim=}."
        )
    return outer(x1, x2)


@handle(np.tensordot, np.linalg.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Return the product over pairs of axes, by one matrix product."""
    a, b = as_array(a), as_array(b)
    axes_a, axes_b = _paired_axes(axes, a.ndim, b.ndim)
    if [a.shape[i] for i in axes_a] != [b.shape[i] for i in axes_b]:
        raise ValueError("shape-mismatch for sum")
    return _tensordot(a, b, axes_x=axes_a, axes_y=axes_b)


def _free(ndim: int, axes: Any) -> tuple[int, ...]:
    return tuple([i for i in range(ndim) if i not in axes])


def _tensordot_value(x: Any, y: Any, axes_x: Any, axes_y: Any) -> Any:
    """Return the product over pairs of axes, by one matrix product."""
    free_x, free_y = _free(x.ndim, axes_x), _free(y.ndim, axes_y)
    shape_x, shape_y = tuple([x.shape[i] for i in free_x]), tuple([y.shape[i] for i in free_y])
    n = math.prod([x.shape[i] for i in axes_x])
    left = x.transpose(free_x + axes_x).reshape((math.prod(shape_x), n))
    right = y.transpose(axes_y + free_y).reshape((n, math.prod(shape_y)))
    return np.matmul(left, right).reshape(shape_x + shape_y)


def _sorted_back(g: Any, order: Any) -> Any:
    """Return `g`, whose axes are those of the argument in this order, in the argument's own."""
    return g.transpose(tuple(sorted(range(len(order)), key=lambda i: order[i])))


def _tensordot_x(ct: Any, y: Any, x_ndim: int, axes_x: Any, axes_y: Any) -> Any:
    free_x, free_y = _free(x_ndim, axes_x), _free(y.ndim, axes_y)
    g = np.tensordot(ct, y, (tuple(range(len(free_x), ct.ndim)), free_y))
    rest = tuple([axes_x[k] for k in sorted(range(len(axes_y)), key=lambda k: axes_y[k])])
    return _sorted_back(g, free_x + rest)


def _tensordot_y(ct: Any, x: Any, y_ndim: int, axes_x: Any, axes_y: Any) -> Any:
    free_x, free_y = _free(x.ndim, axes_x), _free(y_ndim, axes_y)
    g = np.tensordot(x, ct, (free_x, tuple(range(len(free_x)))))
    rest = tuple([axes_y[k] for k in sorted(range(len(axes_x)), key=lambda k: axes_x[k])])
    return _sorted_back(g, rest + free_y)


def _batch_tensordot(args: Any, mapped: Any, settings: Any) -> Any:
    """Multiply matrices of each example: rows of free axes, columns of those summed."""
    (x, y), axes_x, axes_y = args, settings["axes_x"], settings["axes_y"]
    free_x, free_y = _free(x.ndim - mapped[0], axes_x), _free(y.ndim - mapped[1], axes_y)
    left, shape_x, _ = _as_matrix(x, mapped[0], free_x, axes_x)
    right, _, shape_y = _as_matrix(y, mapped[1], axes_y, free_y)
    return (left @ right).reshape((len(args[mapped.index(True)]), *shape_x, *shape_y))


def _as_matrix(x: Any, mapped: bool, rows: Any, columns: Any) -> Any:
    """Return each example with two groups of axes as rows and columns, and the lengths of these axes."""
    lead = (0,) if mapped else ()
    x = x.transpose(lead + tuple([i + mapped for i in rows + columns]))
    first, last = x.shape[mapped : mapped + len(rows)], x.shape[mapped + len(rows) :]
    return x.reshape((*x.shape[:mapped], math.prod(first), math.prod(last))), first, last


_tensordot: Primitive = bilinear(
    "tensordot",
    _tensordot_value,
    vjp=(_tensordot_x, _tensordot_y),
    batch=_batch_tensordot,
)


def _paired_axes(axes: Any, ndim_a: int, ndim_b: int) -> Any:
    first, second = axes if np.iterable(axes) else (range(-axes, 0), range(axes))
    return listed_axes(first, ndim_a), listed_axes(second, ndim_b)


# --- einsum --------------------------------------------------------------------------------------


def _sum_products(subscripts: str, x: Any, y: Any) -> Any:
    """Return what np.einsum gives of two operands; of large ones by a product of matrices, if it is one."""
    return np.einsum(subscripts, x, y, optimize=_count_products(subscripts, x, y) > _FEW)


_FEW = 20_000  # products, up to which the sum takes less time than the search for the best way to do it


def _count_products(subscripts: str, x: Any, y: Any) -> int:
    """Return the product of the lengths of all named axes."""
    x_term, y_term = subscripts.partition("->")[0].split(",")
    n: int = math.prod(x.shape)
    for size, letter in zip(y.shape, y_term, strict=True):
        if letter not in x_term:
            n *= size
    return n


def _batch_einsum(args: Any, mapped: Any, settings: Any) -> Any:
    subscripts, _, out = settings["subscripts"].partition("->")
    letter = next(c for c in string.ascii_letters if c not in settings["subscripts"])
    terms = [letter + t if m else t for t, m in zip(subscripts.split(","), mapped, strict=True)]
    return _einsum(*args, subscripts=",".join(terms) + "->" + letter + out)


@functools.lru_cache(maxsize=256)
def _transposed(subscripts: str) -> tuple[str, str]:
    """Return the subscripts of the cotangent of either operand: of the result's, and the other operand."""
    left, _, out = subscripts.partition("->")
    x, y = left.split(",")
    return f"{out},{y}->{x}", f"{out},{x}->{y}"


# A product over named axes, each once per operand and present in the other one or the result.
_einsum = bilinear(
    "einsum",
    lambda x, y, subscripts: _sum_products(subscripts, x, y),
    vjp=(
        lambda ct, y, subscripts: _sum_products(_transposed(subscripts)[0], ct, y),
        lambda ct, x, subscripts: _sum_products(_transposed(subscripts)[1], ct, x),
    ),
    batch=_batch_einsum,
)


@handle(np.einsum)
def einsum(*operands: Any, out: Any = None, optimize: Any = False, **options: Any) -> Any:
    """Return the sum of products over named axes."""
    no_out("np.einsum", out)
    if options:
        unsupported(f"np.einsum with {next(iter(options))}=", "leave the option out")
    subscripts, arrays = _parse(operands)
    plain = _plain_subscripts(subscripts, tuple([x.shape for x in arrays]))
    if plain is not None and len(arrays) > 1:
        return _pair_by_pair(plain, arrays)
    terms, result = _without_ellipsis(subscripts, arrays)
    for i, term in enumerate(terms):
        if len(term) != arrays[i].ndim:
            raise ValueError(
                f"einsum: operand {i} has {arrays[i].ndim} axes, its subscripts are {term!r}"
            )
        arrays[i], terms[i] = _diagonals(arrays[i], term)
    _drop_stretched(arrays, terms)
    for i, term in enumerate(terms):
        elsewhere = result + "".join(terms[:i] + terms[i + 1 :])
        alone = tuple([k for k, c in enumerate(term) if c not in elsewhere])
        if alone:
            arrays[i] = np.sum(arrays[i], axis=alone)
            terms[i] = "".join([c for c in term if c in elsewhere])
    if len(arrays) == 1:  # a view of the operand, if nothing was summed
        return np.transpose(arrays[0], [terms[0].index(c) for c in result])
    return _pair_by_pair(",".join(terms) + "->" + result, arrays)


def _pair_by_pair(subscripts: str, arrays: list[Any]) -> Any:
    """Multiply operands two at a time: the products of the backward pass are then as few."""
    if len(arrays) == 2:
        return _einsum(*arrays, subscripts=subscripts)
    dtype = np.result_type(
        *[x.dtype for x in arrays]
    )  # two small integers, say, would overflow in theirs
    arrays = [x if x.dtype == dtype else x.astype(dtype) for x in arrays]
    for i, j, pair in _pairs(subscripts, tuple([x.shape for x in arrays])):
        y, x = arrays.pop(j), arrays.pop(i)
        arrays.append(_einsum(x, y, subscripts=pair))
    return arrays[0]


@functools.lru_cache(maxsize=256)
def _pairs(subscripts: str, shapes: Any) -> list[tuple[int, int, str]]:
    """Return which two operands to multiply next, i < j, and how; the product comes last in the list."""
    left, _, result = subscripts.partition("->")
    terms, pairs = left.split(","), []
    stand_ins = [np.broadcast_to(np.float64(), shape) for shape in shapes]
    for group in np.einsum_path(subscripts, *stand_ins, optimize="greedy")[0][1:]:
        j, *others = sorted(group, reverse=True)
        for (
            i
        ) in others:  # the last one of the group, or the product so far, with each of the others
            y, x = terms.pop(j), terms.pop(i)
            kept = set(result).union(*terms)
            product = "".join([c for c in dict.fromkeys(x + y) if c in kept]) if terms else result
            pairs.append((i, j, f"{x},{y}->{product}"))
            terms.append(product)
            j = len(terms) - 1
    return pairs


@functools.lru_cache(maxsize=256)
def _plain_subscripts(subscripts: str, shapes: Any) -> str | None:
    """Return subscripts with the result's, or None if they ask for more than a product of all axes."""
    left, arrow, result = subscripts.partition("->")
    terms = left.split(",")
    if not left.replace(",", "").isalpha() or [len(t) for t in terms] != [len(s) for s in shapes]:
        return None
    sizes = [{*zip(term, shape, strict=True)} for term, shape in zip(terms, shapes, strict=True)]
    joined = "".join(terms)
    if not arrow:
        result = "".join(sorted([c for c in joined if joined.count(c) == 1]))
    repeated = any([len(set(term)) < len(term) for term in (*terms, result)])
    stretched = len(set().union(*sizes)) != len(set(joined))
    alone = any([c not in result and joined.count(c) == 1 for c in joined])
    return None if repeated or stretched or alone else f"{left}->{result}"


def _parse(operands: tuple[Any, ...]) -> tuple[str, list[Any]]:
    """Return subscripts and operands of either calling form of einsum."""
    if isinstance(operands[0], str):
        return operands[0].replace(" ", ""), [as_array(x) for x in operands[1:]]
    pairs, last = divmod(len(operands), 2)
    terms = ",".join([_letters(operands[2 * i + 1]) for i in range(pairs)])
    arrays = [as_array(operands[2 * i]) for i in range(pairs)]
    return (terms + "->" + _letters(operands[-1]) if last else terms), arrays


def _letters(sublist: Any) -> str:
    return "".join(["..." if i is Ellipsis else string.ascii_letters[i] for i in sublist])


def _without_ellipsis(subscripts: str, arrays: list[Any]) -> tuple[list[str], str]:
    """Return a term per operand and the result's, each axis a letter."""
    left, arrow, result = subscripts.partition("->")
    terms = left.split(",")
    if len(terms) != len(arrays):
        raise ValueError(f"einsum: {len(terms)} subscripts for {len(arrays)} operands")
    free = [c for c in string.ascii_letters[::-1] if c not in subscripts]
    hidden = [x.ndim - len(t) + 3 if "..." in t else 0 for t, x in zip(terms, arrays, strict=True)]
    width = max(hidden, default=0)
    names = "".join(free[:width])
    terms = [t.replace("...", names[width - h :]) for t, h in zip(terms, hidden, strict=True)]
    if not arrow:
        joined = "".join(terms)
        once = sorted({c for c in joined if joined.count(c) == 1 and c not in names})
        return terms, names + "".join(once)
    return terms, result.replace("...", names)


def _diagonals(x: Any, term: str) -> tuple[Any, str]:
    """Take the diagonal over each repeated letter of a term."""
    for c in set(term):
        while term.count(c) > 1:
            i = term.index(c)
            j = term.index(c, i + 1)
            if x.shape[i] != x.shape[j]:
                raise ValueError(f"einsum: axis {c!r} has lengths {x.shape[i]} and {x.shape[j]}")
            diagonal = np.arange(x.shape[i])
            x = np.moveaxis(x, (i, j), (0, 1))
            x = HOOKS["entries in place"](x, (diagonal, diagonal))
            term = c + term[:i] + term[i + 1 : j] + term[j + 1 :]
    return x, term


def _drop_stretched(arrays: list[Any], terms: list[str]) -> None:
    """Drop axes of length one that another operand stretches."""
    sizes: dict[str, int] = {}
    for x, term in zip(arrays, terms, strict=True):
        for n, c in zip(x.shape, term, strict=True):
            if sizes.setdefault(c, n) != n:
                if 1 not in (n, sizes[c]):
                    raise ValueError(f"einsum: axis {c!r} has lengths {sizes[c]} and {n}")
                sizes[c] = max(n, sizes[c])
    for i, (x, term) in enumerate(zip(arrays, terms, strict=True)):
        drop = tuple([k for k, c in enumerate(term) if x.shape[k] == 1 != sizes[c]])
        if drop:
            arrays[i] = np.squeeze(x, drop)
            terms[i] = "".join([c for k, c in enumerate(term) if k not in drop])
