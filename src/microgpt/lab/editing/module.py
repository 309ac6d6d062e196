"""Load an edited program as a module, locate its errors, and compare it with the reference."""

from __future__ import annotations

import ast
import inspect
from functools import cache
from types import FunctionType, ModuleType, TracebackType

from microgpt.engines.program import REFERENCE
from microgpt.errors import LabError

FILE = "edited reference.py"

# The functions that the figures call, and the first parameters that each function must have
NEEDED = {
    "init": ("shapes", "rng"),
    "gpt": ("token_id", "pos_id", "keys", "values", "state_dict"),
    "loss": ("tokens", "state_dict"),
    "adam": ("params", "m", "v", "step", "learning_rate"),
    "sample": ("state_dict", "bos", "rng", "temperature"),
    "main": ("docs",),
}


def compiled(text: str) -> ModuleType:
    """Load the source as a module in which print() does nothing."""
    module = ModuleType("edited")
    module.__dict__["print"] = lambda *_, **__: None
    try:
        exec(compile(text, FILE, "exec", dont_inherit=True), module.__dict__)
    except SyntaxError as error:
        raise LabError(f"line {error.lineno}: {type(error).__name__}: {error.msg}") from None
    except (Exception, SystemExit) as error:
        raise LabError(error_sentence(error) or f"cannot load the program: {error}") from None
    for name in ("Value", "Tokenizer"):
        if not isinstance(getattr(module, name, None), type):
            raise LabError(f"the figures need the class {name}, which the program no longer defines: restore it")
    for name, needed in NEEDED.items():
        f = getattr(module, name, None)
        if not isinstance(f, FunctionType):
            raise LabError(f"the figures need the function {name}(), which the program no longer defines: restore it")
        there = list(inspect.signature(f).parameters)
        if there[: len(needed)] != list(needed):
            line = f.__code__.co_firstlineno
            raise LabError(
                f"line {line}: the figures call {name}({', '.join(needed)}, ...), but the function now takes"
                f" ({', '.join(there)}): keep the expected parameters first and add new parameters after them"
            )
    return module


def error_sentence(error: BaseException) -> str:
    """Return a message for an error in an edited program, with its line number, or "" for any other error."""
    for one in (error, error.__cause__, error.__context__):
        line = _line(one.__traceback__) if one else None
        if line and one and not isinstance(one, LabError):
            return f"line {line}: {type(one).__name__}: {one}"
    return ""


def _line(traceback: TracebackType | None) -> int | None:
    """Return the line number of the innermost traceback frame in the edited program, or None."""
    line = None
    while traceback:
        if traceback.tb_frame.f_code.co_filename == FILE:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _functions(text: str) -> dict[str, str]:
    """Return the code of each function and method as text, without comments, docstrings or line numbers."""
    table: dict[str, str] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            table[node.name] = _bare(node)
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef):
                    table[f"{node.name}.{inner.name}"] = _bare(inner)
    return table


def _bare(node: ast.FunctionDef) -> str:
    if ast.get_docstring(node, clean=False) is not None:
        node.body = node.body[1:]
    return ast.dump(node)


@cache
def reference_functions() -> dict[str, str]:
    """Return the code of each function and method in the reference."""
    return _functions(REFERENCE.text)


def changed(text: str) -> set[str]:
    """Return the names of the functions and methods that differ from the reference's or were added or removed."""
    ours, theirs = reference_functions(), _functions(text)
    return {name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)}


class _Skeleton(ast.NodeTransformer):
    """Replace main()'s constants with 0, and remove the arguments of recorded calls."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant(0)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in (*NEEDED, "shapes", "Tokenizer", "print"):
            node.args, node.keywords = [], []
        return node


def skeleton(text: str) -> str:
    """Return main()'s statements without its settings, for comparison with the reference's main()."""
    tree = ast.parse(text)
    main = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main")
    return ast.dump(_Skeleton().visit(main))
