"""The settings of the part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import Misconfigured
from ...settings import PREFIX

FOLDER = Path(__file__).parent / "translations"


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguagesSettings:
    """Which languages pages and errors can be in."""

    languages: tuple[str, ...] = ("en",)
    """By their names in BCP 47, such as "de". The first is for browsers that want none of them."""

    translations: tuple[str, ...] = ()
    """Folders with the application's own catalogues: a file `<language>.po` for each language. A relative path begins
    at the application's own folder (`app.root_path`)."""

    def folders(self, root: str) -> tuple[Path, ...]:
        """Return all folders with catalogues; of two translations of a text, that of the first folder counts.

        `root` is the application's own folder. Raises `Misconfigured` for a folder that does not exist, and for a
        language without a catalogue.
        """
        own = tuple(Path(root, each) for each in self.translations)
        for each in own:
            if not each.is_dir():
                raise Misconfigured(
                    f"{PREFIX}TRANSLATIONS names {each}, which is no folder. Create it or correct it."
                )
        self._refuse_unknown((*own, FOLDER))
        return (*own, FOLDER)

    def _refuse_unknown(self, folders: Sequence[Path]) -> None:
        known = ["en", *sorted({each.stem for folder in folders for each in folder.glob("*.po")} - {"en"})]
        unknown = [each for each in self.languages if each not in known]
        if unknown or not self.languages:
            raise Misconfigured(
                f"{PREFIX}LANGUAGES must list at least one of {', '.join(known)}"
                + (f", and not {', '.join(unknown)}" if unknown else "")
                + f". A language more is a file <language>.po in a folder that {PREFIX}TRANSLATIONS lists."
            )
