"""A small bookshop as teams have it: users with passwords, an office, uploads, two languages and a JSON API."""

from pathlib import Path

from flask import Flask, render_template, request
from flask_babel import Babel, get_locale, gettext
from flask_cors import CORS
from flask_login import LoginManager, current_user
from flask_wtf.csrf import CSRFProtect

from sessions_core import WalletSessions

from .accounts import accounts
from .api import api
from .files import files
from .models import User, create_user, db
from .office import add_office

LANGUAGES = ["en", "de"]

logins = LoginManager()
logins.login_view = "accounts.login"


@logins.user_loader
def load_user(user_id):
    return db.session.get(User, int(user_id))


def user_of_wallet(account):
    return db.session.scalar(db.select(User).filter_by(account=str(account)))


def language():
    """Return the language that the user has chosen, or the best of those that the browser names."""
    chosen = current_user.language if current_user.is_authenticated else None
    return chosen or request.accept_languages.best_match(LANGUAGES)


def create_app(config=None):
    app = Flask(__name__)
    app.config.update(
        SQLALCHEMY_DATABASE_URI="sqlite:///shop.db",
        UPLOADS=Path(app.instance_path) / "uploads",
        MAX_CONTENT_LENGTH=64 * 1024 * 1024,  # of an upload
        PARTNERS=["https://partner.example"],  # whose pages may read the list of books
        SESSIONS_CORE_SITE_NAME="Bookshop",
        SESSIONS_CORE_URL_PREFIX="/wallet",  # the office is at /admin
        SESSIONS_CORE_LANGUAGES=LANGUAGES,
    )
    app.config.from_prefixed_env()
    app.config.update(config or {})

    db.init_app(app)
    logins.init_app(app)
    Babel(app, locale_selector=language)
    app.jinja_env.globals["locale"] = get_locale
    CSRFProtect(app)
    CORS(app, resources={r"/api/books": {"origins": app.config["PARTNERS"]}})
    # "public": each view goes on deciding for itself who may use it, with Flask-Login.
    sessions = WalletSessions(app, user_for=user_of_wallet, undeclared="public", translate=gettext)
    add_office(app)
    for blueprint in (accounts, files, api):
        app.register_blueprint(blueprint)
    app.cli.add_command(create_user)

    @app.get("/")
    def home():
        return render_template("home.html")

    with app.app_context():
        db.create_all()
    sessions.check_routes(app)
    return app
