"""Pages and errors in other languages than English, chosen by Flask-Babel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask, has_request_context, request

from ...part import Part
from .options import LanguagesSettings

if TYPE_CHECKING:
    from ...web.texts import Language


class Languages(Part):
    """The catalogues of the languages that `SESSIONS_CORE_LANGUAGES` lists: those of this package, and those of the
    application in the folders that `SESSIONS_CORE_TRANSLATIONS` lists.

    An application that sets up Flask-Babel chooses the language with that, before or after this package. For one that
    does not, the browser chooses among the listed languages.
    """

    libraries = {"flask_babel": "flask-babel>=4"}
    settings = LanguagesSettings

    def setup(self, app: Flask) -> None:
        """Read the catalogues, and set up Flask-Babel where the application has not done it yet."""
        self.languages: dict[str, Language] = {}
        folders = self.options.folders(app.root_path)
        if self.options.languages == ("en",):
            return
        from flask_babel import Babel

        from .catalogues import read

        self.languages.update((name, read(name, folders)) for name in self.options.languages if name != "en")
        if "babel" not in app.extensions:
            # Without its filters and functions for templates: those are the application's choice.
            Babel(app, configure_jinja=False, locale_selector=self._best_match)

    def _best_match(self) -> str:
        # In the order of the browser, each with its language alone: "de-AT" before "en" is "de".
        wanted = (name for each in request.accept_languages.values() for name in (each, each.partition("-")[0]))
        names = self.options.languages
        return next((name for name in wanted if name in names), names[0]).replace("-", "_")

    def language(self) -> Language | None:
        """Return the language that Flask-Babel has chosen for the request; `None` for one that is not listed."""
        if not self.languages or not has_request_context():
            return None
        from babel import UnknownLocaleError
        from flask_babel import get_locale

        try:
            locale = get_locale()
        except (UnknownLocaleError, ValueError):  # what the application's selector returned is no locale
            return None
        names = (str(locale).replace("_", "-"), locale.language) if locale else ()
        return next((self.languages[name] for name in names if name in self.languages), None)
