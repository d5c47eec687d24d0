"""C text cut to what is used: headers pulled in, conditionals decided, unreachable items dropped, names prefixed.

It understands the C that emlearn's headers and generators are written in, not C at large: what it does not know is an
error, never a guess.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cyberhans.errors import CyberHansError

_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_NAME = re.compile(r"[A-Za-z_]\w*")
_LOGGING = re.compile(r"^[ \t]*EML_LOG_\w+\([^;]*\);[ \t]*$", re.MULTILINE)
_FOREIGN = re.compile(r"\b_?(?=eml_|Eml|EML_|EMTREES_)")
COLUMNS = 120


@dataclass(frozen=True)
class Item:
    """One declaration or macro at file level, the names it defines and all names it mentions."""

    text: str
    defines: frozenset[str]
    mentions: frozenset[str]


def reduce(code: str, roots: Iterable[str], prefix: str) -> str:
    """Flat `code` reduced to what `roots` reach; everything is made static, every name of emlearn's gets `prefix`."""
    kept = _reachable(_items(_LOGGING.sub("", code)), roots)
    return _FOREIGN.sub(f"{prefix}_", "\n\n".join(_private(item.text) for item in kept)) + "\n"


def replace_once(text: str, pattern: str, replacement: str | Callable[[re.Match[str]], str]) -> str:
    """A change of emlearn's text that must find its place exactly once, or emlearn is not the one we know."""
    changed, count = re.subn(pattern, replacement, text, flags=re.DOTALL)
    if count != 1:
        raise CyberHansError(f"emlearn's C has changed: {pattern!r} found {count} times; install emlearn 0.23.2")
    return changed


def _without_comments(code: str) -> str:
    return _COMMENT.sub(lambda match: match[1] or " ", code)


def flatten(code: str, headers: Path, macros: dict[str, str] | None = None) -> str:
    """Includes of emlearn's headers replaced by their text, others dropped; conditionals decided by what is defined."""
    macros = {} if macros is None else macros
    lines: list[str] = []
    active: list[bool] = []
    for line in _without_comments(code).replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().removeprefix("#").strip().partition(" ")
        if not line.lstrip().startswith("#"):
            if all(active):
                lines.append(line)
        elif word in ("ifdef", "ifndef", "if"):
            active.append(_holds(word, rest.strip(), macros))
        elif word == "else":
            active.append(not active.pop())
        elif word == "endif":
            active.pop()
        elif all(active):
            lines.append(_directive(word, rest.strip(), headers, macros))
    return "\n".join(lines)


def _holds(word: str, condition: str, macros: dict[str, str]) -> bool:
    if word == "if":
        value = macros.get(condition, condition)
        if value not in ("0", "1"):
            raise CyberHansError(f"emlearn's C has changed: cannot decide #if {condition}; install emlearn 0.23.2")
        return value == "1"
    return (condition in macros) == (word == "ifdef")


def _directive(word: str, rest: str, headers: Path, macros: dict[str, str]) -> str:
    if word == "define":
        name, _, value = rest.partition(" ")
        macros[name.partition("(")[0]] = value.strip()
        return f"#define {' '.join(rest.split())}"
    if word != "include":
        raise CyberHansError(f"emlearn's C has changed: unknown directive #{word}; install emlearn 0.23.2")
    name = rest.strip('<>"')
    return flatten((headers / name).read_text(), headers, macros) if name.startswith("eml_") else ""


def _items(code: str) -> list[Item]:
    """Split at file level: a macro ends with its line, a function with its brace, all else with a semicolon."""
    items: list[Item] = []
    start = depth = 0
    function = False
    for match in re.finditer(r"^#[^\n]*|[{};]", code, re.MULTILINE):
        if match[0] == "{":
            function = function or (depth == 0 and code[start : match.start()].rstrip().endswith(")"))
            depth += 1
        elif match[0] == "}":
            depth -= 1
        if depth == 0 and (match[0] == ";" or match[0][0] == "#" or (match[0] == "}" and function)):
            items.append(_item(code[start : match.end()].strip()))
            start, function = match.end(), False
    return items


def _item(text: str) -> Item:
    head = text.partition("{")[0]
    if text.startswith("#define"):
        defines = [_NAME.findall(text)[1]]
    elif head.startswith("typedef enum"):
        defines = _NAME.findall(text)[2:]
    elif head.startswith("typedef"):
        defines = [_NAME.findall(text)[-1]]
    else:
        defines = _NAME.findall(re.split(r"[(\[=;]", head)[0])[-1:]
    return Item(text, frozenset(defines), frozenset(_NAME.findall(text)))


def _reachable(items: list[Item], roots: Iterable[str]) -> list[Item]:
    """The items that the roots need, in their order."""
    missing = set(roots).difference(*(item.defines for item in items))
    if missing:
        raise CyberHansError(f"emlearn's C has changed: no {', '.join(sorted(missing))}; install emlearn 0.23.2")
    wanted, known = set(roots), set[str]()
    while fresh := wanted - known:
        known |= fresh
        wanted = wanted.union(*(item.mentions for item in items if item.defines & fresh))
    return [item for item in items if item.defines & known]


def _private(text: str) -> str:
    return text if text.startswith(("#", "typedef", "static")) else f"static {text}"


def wrap(text: str) -> str:
    """Lines of at most 120 columns, where they can be broken, and no two empty ones behind one another."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(_wrap_line(line) for line in text.splitlines())) + "\n"


def _wrap_line(line: str) -> str:
    if len(line) <= COLUMNS or line.startswith("#"):
        return line.rstrip()
    indent = " " * (len(line) - len(line.lstrip()))
    return textwrap.fill(line.strip(), COLUMNS, initial_indent=indent, subsequent_indent=indent + "    ",
                         break_long_words=False, break_on_hyphens=False)  # fmt: skip
