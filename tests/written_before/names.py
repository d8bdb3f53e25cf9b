"""Write `names.txt`: each module with what it defines at its top level, which a pickle may name.

    .venv/bin/python tests/written_before/names.py src/airflow_provider_ifp

A line a module: `module: name name`. Imported names are left out, and what only type checkers see.
"""

import ast
import sys
from pathlib import Path


def defined(body):
    """Names that statements define, those under `if`, `try` and `with` included."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            yield from assigned(node)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from defined(node.orelse)
        else:
            for part in ("body", "orelse", "finalbody"):
                yield from defined(getattr(node, part, []))
            for handler in getattr(node, "handlers", []):
                yield from defined(handler.body)


def assigned(node):
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        yield from (part.id for part in ast.walk(target) if isinstance(part, ast.Name))


def main(package):
    lines = []
    for path in sorted(package.rglob("*.py")):
        module = ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")
        found = sorted(set(defined(ast.parse(path.read_text()).body)) - {"__all__"})
        lines.append(f"{module}: {' '.join(found)}".rstrip())
    Path(__file__).with_name("names.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
