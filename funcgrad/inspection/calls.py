"""Where an operation stands: the user's source line, and the calls of the user's functions around it.

While a program is recorded, an operation costs a walk over the frames of the stack; an instruction is
turned into a file, a line and a text once. Knows nothing of tapes. Read next: `recorder.py`.
"""

import linecache
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from funcgrad.errors import is_internal, source_of

_DEEPEST = 24  # calls around an operation that are looked at: deep recursion stays cheap
_LONGEST = 60  # characters of a layer
_NETWORKS = str(Path(__file__).parent.parent / "nn")


@dataclass(frozen=True)
class Position:
    """A place in the user's code.

    Attributes
    ----------
    file : str
        As Python knows it: a path, or ``<stdin>``, ``<doctest page.md[3]>``, ``<ipython-...>``.
    line : int
    function : str
        The name of the function, qualified by its class.
    source : str
        The text of the line (of the lines, if the expression has several); empty where there is none.
    offset : int
        Of the instruction in its function: later in the text is a higher one. Not compared.
    """

    file: str
    line: int
    function: str
    source: str
    offset: int = field(default=0, repr=False, compare=False)

    def __str__(self) -> str:
        name = self.file.replace("\\", "/").rpartition("/")[2]  # a Path takes 8 us
        return f"{name}:{self.line}"

    def describe(self) -> str:
        """Return the position as error messages write it: ``train.py:8 in loss: source``."""
        where = f"{self} in {self.function.rpartition('.')[2]}"
        return f"{where}: {self.source}" if self.source else where


class Code:
    """What is known of a code object; made once per program and code."""

    def __init__(self, frame: FrameType) -> None:
        self.code: CodeType = frame.f_code
        self.network = self.code.co_filename.startswith(_NETWORKS)
        self.internal = is_internal(frame)
        self.name = self.code.co_qualname.rpartition("<locals>.")[2]
        self.positions: dict[int, Position] = {}

    @cached_property
    def lines(self) -> list[Any]:
        """The positions of all instructions: looking one up by itself takes as long."""
        return list(self.code.co_positions())

    @cached_property
    def has_source(self) -> bool:
        """Whether there is a text: to look for each line of a missing file takes 60 us."""
        return bool(linecache.getlines(self.code.co_filename))

    def position(self, lasti: int) -> Position:
        """Return the place of an instruction (instructions are two bytes long)."""
        if lasti not in self.positions:
            code = self.code
            first, last, *_ = self.lines[max(lasti, 0) // 2]
            first = first or code.co_firstlineno
            last = max(last or first, first)
            source = source_of(code.co_filename, first, last) if self.has_source else ""
            self.positions[lasti] = Position(code.co_filename, first, self.name, source, lasti)
        return self.positions[lasti]


@dataclass(frozen=True, eq=False, slots=True)
class Call:
    """One call of a function of the user's, or of a layer of a network.

    Attributes
    ----------
    name : str
        The function's name, or the layer as its network shows it: ``0: Linear(in_dim=2, out_dim=25)``.
    parent : Call or None
        The call it was made in.
    where : Position or None
        The line in `parent` that made it.
    """

    name: str
    parent: "Call | None"
    where: Position | None

    def path(self) -> list["Call"]:
        """Return the calls from the outermost one to this one."""
        found: list[Call] = []
        call: Call | None = self
        while call is not None:
            found.append(call)
            call = call.parent
        return found[::-1]


_Entry = tuple[int, Code, int, str]  # identity of a frame, its code, its instruction, its name


class Calls:
    """Finds the calls that an operation stands in."""

    def __init__(self) -> None:
        self.codes: dict[int, Code] = {}
        self.outermost = 0  # the identity of the frame at which the user's program begins
        self.outside: Position | None = None  # the user's line that asked for the record
        self.stack: list[tuple[_Entry, Call]] = []  # of the operation before

    def begin(self) -> None:
        """Say that the program runs in the caller's frame."""
        frame: FrameType | None = sys._getframe(1)
        self.outermost = id(frame)
        while frame is not None and self.code(frame).internal:
            frame = frame.f_back
        self.outside = None if frame is None else self.code(frame).position(frame.f_lasti)

    def code(self, frame: FrameType) -> Code:
        """Return what is known of the code of a frame."""
        code = frame.f_code
        found = self.codes.get(id(code))  # not by the code itself, whose hash reads all of it
        if found is None:
            found = self.codes[id(code)] = Code(frame)
        return found

    def here(self) -> tuple[Call | None, Position | None]:
        """Return the innermost call that is running, and the user's innermost line."""
        entries = self.entries()
        stack: list[tuple[_Entry, Call]] = []
        parent, where, same = None, None, True
        for depth, entry in enumerate(entries):
            same = same and depth < len(self.stack) and _continues(entries, self.stack, depth)
            call = self.stack[depth][1] if same else Call(entry[3], parent, where)
            stack.append((entry, call))
            parent, code = call, entry[1]
            if not code.network:
                where = code.position(entry[2])
        self.stack = stack
        return parent, where or self.outside

    def entries(self) -> list[_Entry]:
        """Return the frames of the user's program, the outermost first."""
        found: list[_Entry] = []
        frame: FrameType | None = sys._getframe(2)
        network: list[tuple[FrameType, Code]] = []  # frames of layers since the user's last one
        while frame is not None and id(frame) != self.outermost and len(found) < _DEEPEST:
            code = self.code(frame)
            if code.network:
                network.append((frame, code))
            elif not code.internal:
                _add_layers(network, found)
                found.append((id(frame), code, frame.f_lasti, code.name))
            frame = frame.f_back
        _add_layers(network, found)
        return found[::-1]


def _continues(entries: list[_Entry], before: list[tuple[_Entry, Call]], depth: int) -> bool:
    """Tell whether a frame belongs to the call that it belonged to at the operation before.

    Frames may not be kept (that would keep the user's arrays alive), and a new frame may take the
    place of an old one; then its caller has moved on, unless it is a loop of calls alone.
    """
    frame, code, _, name = entries[depth]
    old_frame, old_code, _, old_name = before[depth][0]
    if frame != old_frame or code is not old_code or name != old_name:
        return False
    return depth == 0 or entries[depth - 1][2] == before[depth - 1][0][2]


def _add_layers(network: list[tuple[FrameType, Code]], found: list[_Entry]) -> None:
    """Note the layers of a network, or the outermost function of `nn`, and forget the frames."""
    layers = [(f, code) for f, code in network if code.code.co_qualname == "Sequential.apply"]
    for frame, code in layers:
        inside = frame.f_locals
        layer = " ".join(repr(inside.get("layer")).split())
        name = (
            f"{inside.get('i', 0)}: {layer if len(layer) <= _LONGEST else layer[:_LONGEST] + '...'}"
        )
        found.append((id(frame), code, frame.f_lasti, name))
    if network and not layers:
        frame, code = network[-1]
        name = code.name.removesuffix(".apply").removesuffix("._function")
        found.append((id(frame), code, frame.f_lasti, f"nn.{name}"))
    network.clear()
