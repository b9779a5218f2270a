"""A tape that keeps a log: what each operation was, on what, where in the user's code.

`Recorder` is a `Tape`; its tracers have none of the quick operators, so that every operation takes
the general path through `process`, where it is looked at. The edges are those of any tape.
Ordinary tapes know nothing of this and pay nothing for it. Read next: `recording.py`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import numpy as np

from funcgrad.backward import each_edge
from funcgrad.core import Primitive, Tracer, concrete
from funcgrad.inspection.calls import Calls
from funcgrad.inspection.operations import Constant, Operation, Variable, simplified, type_of
from funcgrad.reverse import Tape, TapeTracer, traced
from funcgrad.tracers import ArrayTracer


class Watch:
    """Looks at the values of a program while it is recorded; this one does nothing."""

    def start(self, values: list[Any]) -> None:
        """Look at the inputs."""

    def see(
        self, tape: "Recorder", place: int | None, args: Any, settings: Any, results: Any
    ) -> None:
        """Look at an operation, the last one of the log; without a place, it is the last cut."""


class Recorder(Tape):
    """A tape with a log.

    By node: `variables`, and `owners`, the place of the operation that made it (-1 for an input). By
    operation: `operations`, `first_nodes`, and `seconds`, its time. `cuts` are the
    operations that no cotangent passes: the nodes they read, and what they were.
    """

    __slots__ = (
        "calls",
        "counted",
        "cuts",
        "first_nodes",
        "labels",
        "operations",
        "owners",
        "pending",
        "seconds",
        "seen",
        "variables",
        "watch",
        "writing",
    )

    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__()
        self.calls = Calls()
        self.counted = 0  # the entries of `edges` whose kept values are counted
        self.labels: dict[int, str] = {}  # the names of arrays that are not differentiated
        self.operations: list[Operation] = []
        self.owners: list[int] = []
        self.first_nodes: list[int] = []
        self.variables: list[Any] = []  # None for the node of several outputs
        self.seconds: list[float] = []
        self.cuts: list[tuple[list[int], Operation]] = []
        self.pending: Any = None  # a call that announced itself: (name, arguments, where, since)
        self.seen: set[int] = set()  # the buffers that are counted
        self.watch = watch
        self.writing = False

    # What the trace makes.

    def named_input(self, value: Any, name: str) -> Any:
        """Make a tracer for an input with a name."""
        self.variables.append(Variable(name, value.shape, value.dtype))
        self.owners.append(-1)
        return self.mine(super().input(value))

    def input(self, value: Any) -> Any:
        tracer = self.mine(super().input(value))
        self.log("constant", (), {}, (tracer,), (tracer,), self.calls.here(), 0.0)
        return tracer

    def mine(self, x: Any) -> Any:
        """Take the quick operators from a tracer of this tape."""
        if type(x) is TapeTracer and x._trace is self:
            x.__class__ = RecordTracer
        return x

    def process(self, primitive: Primitive, args: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        self.pending = None
        here, first = self.calls.here(), self.nodes
        start = perf_counter()
        result = super().process(primitive, args, settings)
        seconds = perf_counter() - start
        if self.nodes == first:
            self.cut(primitive.name, args, settings, result, here)
            return result
        if primitive.condense is not None:
            self._condense(primitive, args)
        outputs = tuple([self.mine(x) for x in result]) if primitive.multiple else (result,)
        self.mine(result)
        self.log(primitive.name, args, settings, outputs, outputs, here, seconds)
        return result

    def _condense(self, primitive: Any, args: Any) -> None:
        """Keep what the quick operators keep of a comparison with a scalar."""
        x, y = args
        i = 0 if isinstance(x, Tracer) and x._trace is self else 1
        x, y = (x, y) if i == 0 else (y, x)
        if type(y) not in (int, float, np.float64) or type(x.value) is not np.ndarray:
            return
        if x.value.size > 1000:
            *_, kept, fix = self.edges[-2:]
            self.edges[-2:] = primitive.condense(x.value, y, kept), fix

    def split(self, outputs: Any, node: int) -> list[Any]:
        nodes = [self.mine(x) for x in super().split(outputs, node)]
        if self.pending is not None:
            (name, args, here, start), self.pending = self.pending, None
            self.log(name, args, {}, nodes, nodes, here, perf_counter() - start)
        return nodes

    def hear(self, name: str, args: Any, cuts: bool = False) -> None:
        here = self.calls.here()
        if cuts:
            self.cut(name, args, {}, args[0].value, here)
        else:
            self.pending = (name, args, here, perf_counter())

    # What is noted.

    def log(
        self,
        name: str,
        args: Any,
        settings: Any,
        outputs: Any,
        results: Any,
        here: Any,
        seconds: Any,
    ) -> None:
        """Note an operation: all nodes that are not accounted for are its own."""
        new = range(len(self.variables), self.nodes)
        place = len(self.operations)
        made: list[Any] = [None] * len(new)
        shown: list[Variable | Constant] = []
        for x in outputs:
            if isinstance(x, Tracer) and x._trace is self:
                variable = Variable(f"%{place + 1}{_letter(outputs, x)}", x.shape, x.dtype)
                made[x.node - new.start] = variable
                shown.append(variable)
            else:
                shown.append(self.constant_of(x))
        self.variables += made
        self.owners += [place] * len(new)
        self.first_nodes.append(new.start)
        arguments = tuple([self.argument(x) for x in args])
        noted = {
            key: simplified(x) for key, x in settings.items() if key != "ends"
        }  # of parts joined
        kept = sum([self.count(x) for x in self.edges[self.counted + 3 :: 5]])
        self.counted = len(self.edges)
        view = len(outputs) == 1 and getattr(outputs[0], "_view", None) is not None
        self.operations.append(
            Operation(name, arguments, noted, tuple(shown), kept, view, self.writing, *here)
        )
        self.seconds.append(seconds)
        if self.watch is not None:
            self.watch.see(self, place, args, settings, results)

    def cut(self, name: str, args: Any, settings: Any, result: Any, here: Any) -> None:
        """Note an operation on traced values whose result has no derivative."""
        nodes = [x.node for x in args if isinstance(x, Tracer) and x._trace is self]
        results = result if isinstance(result, tuple) else (result,)
        operation = Operation(
            name,
            tuple([self.argument(x) for x in args]),
            {key: simplified(x) for key, x in settings.items()},
            tuple([self.constant_of(x) for x in results]),
            0,
            False,
            False,
            *here,
        )
        self.cuts.append((nodes, operation))
        if self.watch is not None:
            self.watch.see(self, None, args, settings, (result,))

    def argument(self, x: Any) -> Variable | Constant:
        """Return an argument by name."""
        if isinstance(x, Tracer) and x._trace is self:
            return self.variables[x.node]  # type: ignore[no-any-return]
        return self.constant_of(x)

    def constant_of(self, x: Any) -> Constant:
        """Return what is known of a value that this tape does not trace."""
        if isinstance(x, (bool, int, float, complex)) and not isinstance(x, np.generic):
            return Constant(repr(x), (), np.dtype(type(x)), weak=True)
        shape, dtype = np.shape(x), getattr(x, "dtype", None) or np.result_type(x)
        text = self.labels.get(id(x)) or type_of(shape, dtype)
        if isinstance(x, np.generic):
            text = repr(x.item()) if dtype.kind in "biufc" else repr(x)
        return Constant(text, shape, dtype)

    def parents_of(self, place: int) -> list[int]:
        """Return the nodes that an operation's first result comes from."""
        first = self.first_nodes[place]
        return [parent for node, parent, *_ in each_edge(self.edges) if node == first]

    def count(self, kept: Any) -> int:
        """Return the bytes of all buffers in what an edge keeps that were not counted before."""
        if isinstance(kept, Tracer):
            kept = concrete(kept)
        if isinstance(kept, (np.ndarray, np.generic)):
            while isinstance(kept, np.ndarray) and isinstance(kept.base, np.ndarray):
                kept = kept.base
            if id(kept) in self.seen:
                return 0
            self.seen.add(id(kept))
            return int(kept.nbytes)
        if isinstance(kept, (tuple, list)):
            return sum([self.count(x) for x in kept])
        if isinstance(kept, dict):
            return sum([self.count(x) for x in kept.values()])
        inner = getattr(kept, "tape", None)  # the rule of a custom_jvp, recorded
        if isinstance(inner, Tape):
            return sum([self.count(x) for x in inner.edges[3::5]])
        return 0

    @contextmanager
    def write(self) -> Iterator[None]:
        """Note the operations inside as parts of a write into an array."""
        before, self.writing = self.writing, True
        try:
            yield
        finally:
            self.writing = before


def _letter(outputs: Any, x: Any) -> str:
    """Tell outputs of one operation apart: %3a, %3b."""
    if len(outputs) == 1:
        return ""
    return "abcdefghijklmnopqrstuvwxyz"[[y is x for y in outputs].index(True) % 26]


# --- its tracers ---------------------------------------------------------------------------------


class RecordTracer(TapeTracer):
    """A tracer without quick operators."""

    __slots__ = ()

    def __setitem__(self, index: Any, value: Any) -> None:
        tape = self._trace
        here, start = tape.calls.here(), perf_counter()
        # Without the array: the tape writes in place only where nobody else holds it.
        before = traced(None, tape, self.node)
        with tape.write():
            super().__setitem__(index, value)
            if len(tape.variables) < tape.nodes:  # the tape wrote without a primitive
                seconds = perf_counter() - start
                args, settings = (before, value), {"index": index}
                tape.log("put", args, settings, (self,), (value,), here, seconds)

    def __fused__(self, fused: Any, args: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        """Record passes by hand as one operation; who watches sees each of the NumPy code."""
        tape = self._trace
        if fused.is_row:
            return NotImplemented  # each layer has a name of its own
        if tape.watch is not None:
            return fused.plain(*args, **settings)
        here, start = tape.calls.here(), perf_counter()
        result = super().__fused__(fused, args, settings)
        if len(tape.variables) < tape.nodes:
            seconds, outputs = perf_counter() - start, (tape.mine(result),)
            name = fused.plain.__name__.strip("_").removesuffix("_plain")
            tape.log(name, args, settings, outputs, outputs, here, seconds)
        return result

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        call = super(TapeTracer, self).__array_ufunc__
        if not any([isinstance(x, Tracer) for x in kwargs.get("out") or ()]):
            return call(ufunc, method, *inputs, **kwargs)
        with self._trace.write():
            return call(ufunc, method, *inputs, **kwargs)


def _in_place(operator: Any) -> Any:
    def method(self: RecordTracer, other: Any) -> Any:
        with self._trace.write():
            return operator(self, other)

    return method


for _name, _method in vars(ArrayTracer).items():
    if _name.startswith("__i") and _name in (
        *("__iadd__", "__isub__", "__imul__", "__itruediv__", "__ipow__"),
        *("__imatmul__", "__imod__", "__ifloordiv__"),
    ):
        setattr(RecordTracer, _name, _in_place(_method))
    elif _name in vars(TapeTracer) and _name not in vars(RecordTracer) and callable(_method):
        setattr(RecordTracer, _name, _method)
