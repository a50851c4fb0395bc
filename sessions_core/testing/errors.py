"""What the kit refuses: one class and one code each. `docs/test-your-app.md` lists them."""

from __future__ import annotations

from ..errors import Misconfigured


class KitError(Misconfigured):
    """The kit can't do that; the text says what to change. `code` names the reason for programs."""

    code = "testing_refused"


class TestingInProduction(KitError):
    """The application is not in development."""

    __test__ = False  # no class of tests, although pytest would take the name for one
    code = "testing_in_production"

    def __init__(self) -> None:
        super().__init__(
            "sessions_core.testing signs in and moves clocks, so it refuses an application in production. For tests, "
            "make the application with the fixture sessions_config, or with "
            'app.config["SESSIONS_CORE_DEVELOPMENT"] = True.'
        )


class NoWalletSessions(KitError):
    """The application has no `WalletSessions`."""

    code = "testing_no_extension"

    def __init__(self) -> None:
        super().__init__("The application has no WalletSessions. Call WalletSessions(app) where you make it.")


class ChainUnknown(KitError):
    """A test wallet can't sign on this chain."""

    code = "testing_chain_unknown"


class PackageMissing(KitError):
    """A package is not installed that signs on this chain."""

    code = "testing_package_missing"


class PartMissing(KitError):
    """A part is not there, or not loaded, that this needs."""

    code = "testing_part_missing"


class SignInFailed(KitError):
    """The application refused the sign-in of a test wallet; the text has its code and its sentence."""

    code = "testing_sign_in_refused"


class NotSignedIn(KitError):
    """The client has no living session of an account."""

    code = "testing_not_signed_in"


class BrowserUnsupported(KitError):
    """The object is neither a Chromium of Selenium nor a page of Playwright."""

    code = "testing_browser_unsupported"


class ClocksMissing(KitError):
    """The page was opened without the clocks that a test can move."""

    code = "testing_clocks_missing"

    def __init__(self) -> None:
        super().__init__("The page has its own clocks. Call fast_clocks(browser) before you open it.")


class NotSeen(KitError):
    """The page in front does not show an element that a test waits for."""

    code = "testing_not_seen"
