"""What an optional part can bring, and how parts are found, checked and loaded.

A part is one folder below `sessions_core/parts/`. Its `__init__.py` holds one subclass of `Part`; everything else of
the feature lies beside it: `pages.py`, `errors.py`, `templates/`, `static/`. Delete the folder and the feature is
gone. `docs/parts.md` lists all parts and has a complete example.

Every member is optional. Class attributes say what the part claims (settings, error codes, actions …), so that two
parts that claim the same are refused before anything runs; methods take part in what the kernel does.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import click
from flask import Blueprint, Flask, Request, Response
from msgspec import Struct

from . import parts as folder
from .access.actions import Action
from .errors import Misconfigured, SessionsError
from .sessions import end_reasons
from .settings import PREFIX, Settings, read
from .sign_in import verifiers

if TYPE_CHECKING:
    from .access.policy import AccountStatus, SessionType
    from .errors import SignInRefused
    from .events import Event
    from .sessions.end_reasons import EndReason
    from .sessions.flask_session import TokenClaims, WalletSession
    from .sessions.record import AccountKey, AccountValues, LoadedSession, SessionRecord
    from .sign_in.accounts import Account
    from .sign_in.challenges import Challenge, Signed
    from .sign_in.user import User
    from .sign_in.verifiers import Verifier
    from .web.services import Services
    from .web.session_view import SessionView
    from .web.texts import Language

_LIST = f"{PREFIX}PARTS (or parts=[…])"
_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """A link in the header of every private page.

    `endpoint` is the page itself; `below` are beginnings of endpoints that belong to it. `role` shows the link only
    to sessions with that role.
    """

    label: str
    endpoint: str
    below: tuple[str, ...] = ()
    role: str | None = None
    order: int = 50


class Part:
    """One optional feature. The kernel makes one instance for each application and calls its methods.

    `services` are the kernel's services, `options` an instance of `settings`.
    """

    name: ClassVar[str]
    """The name of the folder, which the loader sets; a part of the application's own says its name itself."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Parts without which this one makes no sense."""
    uses: ClassVar[tuple[str, ...]] = ()
    """Parts that this one works with where they are loaded, and does without where they are not. They are loaded
    before it."""
    libraries: ClassVar[Mapping[str, str]] = {}
    """What to install: name to import → what `pip install` takes. Looked for only if the part is loaded."""
    settings: ClassVar[type | None] = None
    """A frozen dataclass; each field is a setting `SESSIONS_CORE_<FIELD>` of the configuration.

    Its method `refuse_unsafe(settings)`, if it has one, raises `Misconfigured` for what the site must not start with.
    """
    errors: ClassVar[tuple[type[SessionsError], ...]] = ()
    """The errors that the part raises, each with a code of its own."""
    events: ClassVar[tuple[type[Event], ...]] = ()
    """The events that the part publishes, each with a name of its own."""
    actions: ClassVar[Mapping[str, Action]] = {}
    """What users may be asked to sign for (`access.actions`)."""
    end_reasons: ClassVar[tuple[EndReason, ...]] = ()
    """Why the part ends sessions, beside the kernel's reasons (`sessions.end_reasons`)."""
    verifiers: ClassVar[tuple[Verifier, ...]] = ()
    """Kinds of accounts that can sign in (`sign_in.verifiers`)."""
    wallet_modules: ClassVar[Mapping[str, str]] = {}
    """Modules that talk to wallets in the browser: family → file in the part's `static`. A family is the CAIP-2
    namespace of its accounts, or a word of the part's own."""
    account_keys: ClassVar[tuple[AccountKey, ...]] = ()
    """What is kept in Redis for each account, and read with each of its requests in the same round trip."""
    redis_keys: ClassVar[Mapping[str, str]] = {}
    """Every Redis key of the part: its pattern → "type: what it holds". `{tag}` is the hash tag of an account, `<…>`
    any text. For docs/operations.md, and against collisions."""
    purposes: ClassVar[Mapping[str, tuple[type[SessionsError], ...]]] = {}
    """What a text from `POST /api/auth/challenges` can be for, besides signing in: the purpose → the errors with
    which `issue_challenge` may refuse it."""
    state: ClassVar[type[Struct] | None] = None
    """Fields that the part adds to what the JSON service says of a session; `session_state` has their values."""
    after_rotation: ClassVar[str] = ""
    """What can't be read any more once a former secret is removed, although `sweep` ran: a sentence for
    `flask keys rotate`."""
    menu: ClassVar[tuple[MenuEntry, ...]] = ()
    """Links in the header of private pages."""
    slots: ClassVar[Mapping[str, str]] = {}
    """Templates for the kernel's pages: slot → template. They find their part by `parts["<name>"]`. Some are included
    where the page leaves room:

    - `skip_links`: before all else in the body of `base.html`, for users who are signed in
    - `status_notices`: in `status.html`, above the panels
    - `account_facts`: in `status.html`, rows of the list about the account
    - `account_links`: in `status.html`, items of the list of links
    - `session_facts`: facts about `row`, a session in a list of them
    - `admin`: links above the administration; a slot of the part that has these pages
    - `activity_words`: sets `action_words`, `ended_words` and `refusal_words`, and has a macro `sentence(name, f)`:
      what an activity log says about the part's actions, end reasons, errors and events; a slot of the part with the
      log
    - `endings`: sets `ending_words`, what users read about the part's reasons why a session ended
    - `problems`: sets `problem_words`, what users read when their signature to confirm an action was refused
    - `confirm_facts`: rows of the list of what an action is about, on the page that asks for a signature
    - `confirm_troubles`: on that page, what a wallet answered
    - `modules`: at the end of the head of every page, and after each element that names modules of wallet families
    - `head`, `banner`: scripts and styles, and what stands above the page, of every page with a session
    - `status`: panels of the status page
    - `unauthorized_development`: on the page that says what a user lacks, in development: how to give it
    - `signed_out`, `signed_out_head`, `signed_out_end`: notices of the page that says why a session ended, scripts in
      its head, and what stands at its end
    - `phone_wallets`, `wallets_elsewhere`: rows of the sign-in panel for phones, and a link below the wallets
    - `wallet_choices`: rows below the wallets of the sign-in panel
    - `panel_states`: sets `panel_states`, further states of the sign-in panel (`sessions/_panel_states.html`)
    - `panel_troubles`: the words of those states, shown above the action of the current step
    - `signature_hints`: what may be wrong with a signature that was refused
    - `signing_steps`: sets `family`, `ready` and `signing`, for wallets that don't show their user the message; and
      `connecting`, if no window opens
    - `wallets_to_install`: sets `namespace` and `makers`, for visitors without a wallet
    - `wallet_attributes`: attributes of the elements that talk to wallets, for the scripts of a kind of account
    """

    def __init__(self, services: Services, options: Any = None) -> None:
        self.services = services
        self.options = options

    # -- Without an application ----------------------------------------------------------------------------------

    @classmethod
    def standalone_commands(cls) -> Sequence[click.Command]:
        """Return commands for `python -m sessions_core`, which need no application."""
        return ()

    # -- When the application is set up ------------------------------------------------------------------------

    @classmethod
    def redis_url(cls, app: Flask) -> str | None:
        """Return the URL of a Redis for development, for an application that sets none. Asked before all else."""
        return None

    def setup(self, app: Flask) -> None:
        """Build what the part needs. Raise `Misconfigured` for what is unsafe, with the line that fixes it."""

    def blueprints(self) -> Sequence[Blueprint]:
        """Return the blueprints with the part's routes. Their names begin with `sessions_<part>`."""
        return ()

    def commands(self) -> Sequence[click.Command]:
        """Return what the part adds to the command `flask`. A group named `sessions` extends the kernel's own."""
        return ()

    def session_types(self, settings: Settings) -> Sequence[SessionType]:
        """Return the types of sessions that the part adds."""
        return ()

    def wsgi(self, app: Callable[..., Any]) -> Callable[..., Any]:
        """Return the WSGI application with the part's own layer around it."""
        return app

    def wallet_families(self, linking: bool) -> Sequence[str]:
        """Return families that the connect panel offers beside those of the chains that the site accepts. `linking`
        says whether the panel links another account instead of signing in.
        """
        return ()

    def wallet_family(self, session: SessionView) -> str | None:
        """Return the family of the wallet that signs for a session, if it is not that of the account's namespace."""
        return None

    def asset_origins(self) -> Sequence[str]:
        """Return other origins from which pages may load scripts, styles, pictures and fonts."""
        return ()

    def warm(self) -> None:
        """Import what is slow to import, before a user waits for it."""

    # -- With each request ---------------------------------------------------------------------------------------

    def send_asset(self, path: str) -> Response | None:
        """Answer a request for a static file by its path below `/sessions_core/`, or return `None` to leave it to
        another part, or to the kernel.
        """
        return None

    def read_token(self, token: str) -> TokenClaims | None:
        """Return which session a bearer token (RFC 6750) stands for, or `None` if the token is not one of this part.

        Raises a `NotSignedIn` for a token of this part that is not good. Without a part that reads tokens, the kernel
        ignores the header `Authorization`.
        """
        return None

    def allow_origin(self, request: Request, origin: str) -> bool:
        """Return whether pages of another origin may send this request, which changes something.

        Raises a `CrossSiteRequest` that says more than the kernel's own refusal would.
        """
        return False

    def account_status(self, account: str, values: AccountValues) -> AccountStatus | None:
        """Return role and verification of an account (CAIP-10), or `None` if the part knows nothing of it.

        The first part that answers decides; `role_for` of the application has the last word about the role.
        """
        return None

    def user(self, account: Account, values: AccountValues) -> User | None:
        """Return the user behind an account, or `None` if the part knows of none. The first part that answers
        decides; without an answer the account is a user by itself.
        """
        return None

    def privileges(self, account: str, values: AccountValues) -> str:
        """Return a fingerprint of the rights that the account (CAIP-10) has by this part, apart from its role. When
        it changes, the session gets a new id.
        """
        return ""

    def describe_session(self, session: LoadedSession) -> SessionView | None:
        """Return what pages and commands may show of a session, with what the part knows of it; `None` if that is no
        more than the kernel knows. The first part that answers decides.
        """
        return None

    def describe_agent(self, agent: str) -> str:
        """Return what to call the device with this User-Agent header."""
        return ""

    def session_state(self, view: SessionView) -> Mapping[str, Any]:
        """Return the values of the fields of `state` for a session."""
        return {}

    def language(self) -> Language | None:
        """Return the language of the request, or `None` to leave it to another part. Called for each text."""
        return None

    def signing_words(self, session: SessionView) -> str | None:
        """Return the template that says how the account of a session signs, if no wallet shows its user the text.

        It has the names of `sessions/_signing_words.html`.
        """
        return None

    def on_read(self, session: WalletSession) -> None:
        """Look at a session that was just read from Redis, whatever the request is for."""

    def without_user(self, session: WalletSession) -> None:
        """Look for another proof of the user in a request that brought no session of one, for `session.adopt`."""

    def check_session(self, session: WalletSession, thorough: bool) -> None:
        """End the session if it may not go on. `thorough` is for actions that take a fresh signature and are about to
        pass without one: whatever is checked on a schedule is checked now.
        """

    def on_use(self, session: WalletSession) -> None:
        """Note that a user works with the session. Called for requests that count as activity, after all checks."""

    def forget_browser(self, response: Response) -> None:
        """Delete what the part keeps in cookies of the browser, with the response that signs it out."""

    # -- When an account signs in --------------------------------------------------------------------------------

    def verify_otherwise(
        self, account: Account, message: str, signature: str, refusal: SignInRefused
    ) -> object | None:
        """Decide about a signature that the verifier of the account's namespace has refused.

        Returns evidence that the account accepts it, which `on_sign_in` gets as `signed.evidence`, or `None` if the
        part has nothing to say. Raises a `SignInRefused` that says more than `refusal` does.
        """
        return None

    def on_sign_in(self, signed: Signed, record: SessionRecord, cookies: bool) -> None:
        """Put what the part keeps with a session into its record: before it starts, and after a signature that
        confirmed an action. `cookies` says whether it is for a browser, and not for a program.
        """

    def on_attempt(self, kind: str, address: str, browser: str | None) -> None:
        """Hear of an attempt (`challenges`, `sign_ins`, `refreshes`) from an address and, if it brought one, with the
        value of a browser cookie. Raise `RateLimited` to refuse it.
        """

    def on_event(self, event: Event) -> None:
        """Hear of every event of this application's requests and commands."""

    def issue_challenge(self, purpose: str, account: str) -> Challenge:
        """Write the text that an account (CAIP-10) signs for one of the part's `purposes`."""
        raise NotImplementedError

    # -- Maintenance -------------------------------------------------------------------------------------------

    def check_command(self) -> None:
        """Raise a `BadRequest` if a command that encrypts with this process's secret must not run now. The user's
        `--force` leaves this out.
        """

    def findings(self) -> Sequence[tuple[Literal["ok", "advice", "unsafe"], str]]:
        """Return what a check of the running deployment says about the part, each with a sentence; never raises."""
        return ()

    def sweep(self) -> Mapping[str, tuple[int, str]]:
        """Clean up what the part stores, and encrypt with the newest secret what an older one had encrypted.

        Returns what was found: its name → how many, and a sentence for the command line.
        """
        return {}


# -- Finding and checking --------------------------------------------------------------------------------------------


def available() -> tuple[str, ...]:
    """Return the names of all parts whose folder exists, in alphabetical order."""
    return tuple(sorted(each.name for each in pkgutil.iter_modules(folder.__path__) if each.ispkg))


def choose(wanted: Iterable[str | type[Part]] | None) -> tuple[type[Part], ...]:
    """Return the classes of the parts to load, each after those it needs.

    `wanted` has the names of folders, and classes of the application's own parts; `None` is every part whose folder
    exists. Raises `Misconfigured` for a part that does not exist, lacks another part or a library, or claims what
    another part has.
    """
    if wanted is not None and not isinstance(wanted, (list, tuple, set, frozenset)):
        raise Misconfigured(f'{_LIST} must be a list of parts such as ["ethereum", "devices"], not {wanted!r}.')
    found = available()
    classes: dict[str, type[Part]] = {}
    for each in found if wanted is None else wanted:
        if isinstance(each, str) and each not in found:
            raise Misconfigured(
                f"There is no part {each!r} in sessions_core/parts. Remove it from {_LIST}; the parts are "
                f"{', '.join(found)}."
            )
        part = class_of(each) if isinstance(each, str) else _own(each)
        if classes.setdefault(part.name, part) is not part:
            raise Misconfigured(f"Two parts are called {part.name!r}. Rename {part.__module__}.{part.__qualname__}.")
    for part in classes.values():
        _refuse_incomplete(part, classes, found, listed=wanted is not None)
    if not any(part.verifiers for part in classes.values()):
        raise Misconfigured(
            f'No kind of account can sign in. Add a part that brings one to {_LIST}, such as "ethereum".'
        )
    ordered = tuple(_in_order(classes))
    _refuse_shared_claims(ordered)
    for part in ordered:
        for verifier in part.verifiers:
            verifiers.register(verifier)
        for reason in part.end_reasons:
            end_reasons.register(reason)
    return ordered


def read_options(part: type[Part], config: Mapping[str, Any], settings: Settings) -> Any:
    """Return the part's own settings, read from a Flask configuration; `None` if it has none.

    Raises `Misconfigured` for wrong types and every unsafe value.
    """
    if part.settings is None:
        return None
    options = part.settings(**read(part.settings, config))
    if hasattr(options, "refuse_unsafe"):
        options.refuse_unsafe(settings)
    return options


def settings_of(part: type[Part]) -> tuple[str, ...]:
    """Return the names of a part's settings, in lower case and without prefix."""
    return () if part.settings is None else tuple(each.name for each in fields(part.settings))


def owner_of(setting: str) -> str | None:
    """Return the part, among all whose folder exists, that has a setting of this name."""
    return next((name for name in available() if setting in settings_of(class_of(name))), None)


def _own(part: Any) -> type[Part]:
    if not (isinstance(part, type) and issubclass(part, Part) and _NAME.fullmatch(getattr(part, "name", ""))):
        raise Misconfigured(
            f"{part!r} is no part. Give names of folders in sessions_core/parts, or subclasses of "
            "sessions_core.part.Part that have a name such as name = 'notes'."
        )
    return part


def _refuse_incomplete(
    part: type[Part], chosen: Mapping[str, type[Part]], found: Sequence[str], *, listed: bool
) -> None:
    leave_out = f"take {part.name!r} out of {_LIST}" if listed else f"delete the folder parts/{part.name}"
    for needed in part.needs:
        if needed not in chosen:
            mend = f"Add it to {_LIST}." if needed in found else f"Restore its folder, or {leave_out}."
            raise Misconfigured(f"The part {part.name!r} needs the part {needed!r}. {mend}")
    for module, requirement in part.libraries.items():
        if importlib.util.find_spec(module) is None:
            raise Misconfigured(
                f"The part {part.name!r} needs {module}: run pip install {requirement!r}, or {leave_out}."
            )


def class_of(name: str) -> type[Part]:
    """Return the class of the part in a folder; raise `Misconfigured` if the folder does not hold exactly one."""
    module = importlib.import_module(f"{folder.__name__}.{name}")
    classes = [
        each
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Part) and each.__module__ == module.__name__
    ]
    if len(classes) != 1:
        raise Misconfigured(
            f"sessions_core/parts/{name}/__init__.py must hold one subclass of Part, and holds {len(classes)}. "
            "docs/parts.md has an example."
        )
    classes[0].name = name
    return classes[0]


def _in_order(classes: Mapping[str, type[Part]]) -> Iterator[type[Part]]:
    done: dict[str, type[Part]] = {}

    def visit(name: str, path: tuple[str, ...]) -> Iterator[type[Part]]:
        if name in path:
            raise Misconfigured(f"The parts {' and '.join(sorted({*path}))} need each other. Merge them.")
        if name not in done:
            used = (each for each in classes[name].uses if each in classes)
            for needed in (*classes[name].needs, *used):
                yield from visit(needed, (*path, name))
            done[name] = classes[name]
            yield classes[name]

    for name in classes:
        yield from visit(name, ())


def _refuse_shared_claims(classes: Iterable[type[Part]]) -> None:
    owners: dict[tuple[str, str], str] = {}
    for part in classes:
        for kind, claims in _claims(part):
            for claim in claims:
                owner = owners.setdefault((kind, claim), part.name)
                if owner != part.name:
                    raise Misconfigured(
                        f"The parts {owner!r} and {part.name!r} both have the {kind} {claim!r}. Rename one of them, "
                        f"or leave one part out of {_LIST}."
                    )


def _claims(part: type[Part]) -> Iterator[tuple[str, Iterable[str]]]:
    yield "setting", (f"{PREFIX}{name.upper()}" for name in settings_of(part))
    yield "error code", {each.code for each in part.errors}
    yield "event", {each.name for each in part.events}
    yield "action", part.actions
    yield "end reason", (each.name for each in part.end_reasons)
    yield "account key", (each.name for each in part.account_keys)
    yield "purpose of challenges", part.purposes
    yield "field of a session's state", part.state.__struct_fields__ if part.state is not None else ()
    yield "Redis key", part.redis_keys
    yield "CAIP-2 namespace", (each.namespace for each in part.verifiers)
