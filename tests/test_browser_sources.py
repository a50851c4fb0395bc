"""The layers of the browser's code, read from its sources: lib knows no page, elements and parts know no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .browser_sources import FILES, PACKAGE, code_of

STATIC, PARTS = PACKAGE / "static", PACKAGE / "parts"
# `import … from "…"`, `import "…"`, `export … from "…"` and `import("…")`, over several lines too.
IMPORT = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*["']([^"'\n]+)["']""")
DOM = re.compile(
    r"\b(?:document|customElements|querySelector\w*|getElement\w+|HTML\w*Element|SVG\w*Element|Element|Node|Document"
    r"|MutationObserver|innerHTML|textContent|dataset)\b"
)
# What a folder of the kernel may import, itself included.
LAYERS = {
    "lib": {"lib"},
    "page": {"lib", "page"},
    "wallets": {"lib", "page", "wallets"},
    "elements": {"lib", "page", "wallets", "elements"},
}
LONGEST_CLASS = 250


def imports_of(path: Path, source: str | None = None) -> list[Path]:
    """Every file that a module names in an import."""
    found = IMPORT.findall(code_of(path.read_text() if source is None else source))
    return [(path.parent / each).resolve() for each in found]


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def part_of(path: Path) -> str | None:
    return path.relative_to(PARTS).parts[0] if path.is_relative_to(PARTS) else None


def layer_of(path: Path) -> str | None:
    return path.relative_to(STATIC).parts[0] if path.is_relative_to(STATIC) else None


def element_of(path: Path) -> str:
    """`wallet-sign-in` of elements/wallet-sign-in.js and of all that is in elements/wallet-sign-in/."""
    return path.relative_to(STATIC / "elements").parts[0].removesuffix(".js")


def test_the_reader_of_imports_sees_every_form() -> None:
    source = (
        'import "./a.js";\nimport { b } from "./b.js";\nimport {\n  c,\n} from\n  "./c.js";\n'
        'export * from "./d.js";\nconst late = await import("./e.js");\n'
        '// import "./not.js"\n/* import("./not.js") */\n'
    )
    found = [path.name for path in imports_of(STATIC / "lib/x.js", source)]
    assert found == ["a.js", "b.js", "c.js", "d.js", "e.js"]


@pytest.mark.parametrize("code", ["document.title", "x instanceof HTMLElement", "root.querySelectorAll('a')"])
def test_the_reader_of_names_sees_the_dom(code: str) -> None:
    assert DOM.search(code_of(f"/** document */ const x = 1; // document\n{code}"))
    assert not DOM.search(code_of("/** document */ const x = 1; // document\n"))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_lead_to_files(path: Path) -> None:
    assert [each for each in imports_of(path) if not each.is_file()] == []


@pytest.mark.parametrize("path", sorted((STATIC / "lib").glob("*.js")), ids=name)
def test_lib_touches_no_dom(path: Path) -> None:
    assert set(DOM.findall(code_of(path.read_text()))) == set()


@pytest.mark.parametrize("path", [path for path in FILES if layer_of(path)], ids=name)
def test_imports_of_the_kernel_point_one_way(path: Path) -> None:
    layer = str(layer_of(path))
    assert {layer_of(each) for each in imports_of(path)} <= LAYERS[layer]


@pytest.mark.parametrize("path", [path for path in FILES if layer_of(path) == "elements"], ids=name)
def test_elements_never_import_each_other(path: Path) -> None:
    others = {element_of(each) for each in imports_of(path) if layer_of(each) == "elements"}
    assert others <= {element_of(path)}


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_part_is_imported_from_outside_its_folder(path: Path) -> None:
    assert {part_of(each) for each in imports_of(path)} <= {None, part_of(path)}


@pytest.mark.parametrize("path", [path for path in FILES if part_of(path)], ids=name)
def test_parts_import_no_element_of_the_kernel(path: Path) -> None:
    assert {layer_of(each) for each in imports_of(path)} <= {None, "lib", "page", "wallets"}


@pytest.mark.parametrize("name", ["session-timeout", "wallet-sign-in"])
def test_no_class_of_the_large_elements_is_long(name: str) -> None:
    paths = [STATIC / f"elements/{name}.js", *(STATIC / f"elements/{name}").glob("*.js")]
    for path in paths:
        for found in re.finditer(r"^(?:export )?class .*?^\}", path.read_text(), re.DOTALL | re.MULTILINE):
            assert found[0].count("\n") < LONGEST_CLASS, path
