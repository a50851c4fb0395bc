"""The settings of the part."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...errors import Misconfigured
from ...settings import PREFIX, Settings

FOLDER = Path(__file__).parent / "translations"


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguagesSettings:
    """Which languages pages and errors can be in."""

    languages: tuple[str, ...] = ("en",)
    """By their names in BCP 47, such as "de". The first is for browsers that want none of them."""

    def refuse_unsafe(self, settings: Settings) -> None:
        """Refuse a language without a catalogue."""
        known = ["en", *sorted(each.stem for each in FOLDER.glob("*.po"))]
        unknown = [each for each in self.languages if each not in known]
        if unknown or not self.languages:
            raise Misconfigured(
                f"{PREFIX}LANGUAGES must list at least one of {', '.join(known)}"
                + (f", and not {', '.join(unknown)}" if unknown else "")
                + ". A language more is a file <language>.po in sessions_core/parts/languages/translations."
            )
