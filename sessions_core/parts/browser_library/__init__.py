"""ES modules for front ends that show and keep a session by themselves (docs/browser-library.md)."""

from __future__ import annotations

from ...part import Part


class BrowserLibrary(Part):
    """Serves `SessionManager` and what goes with it. No page of the package loads any of it."""

    uses = ("api",)  # whose tokens pages of other origins bring
