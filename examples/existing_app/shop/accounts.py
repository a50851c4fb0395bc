from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user, login_required, login_user, logout_user
from sqlalchemy.exc import IntegrityError

from sessions_core import current_account, signed_in

from .models import db, find_user

accounts = Blueprint("accounts", __name__)


@accounts.get("/login")
def login():
    return render_template("login.html")


@accounts.post("/login")
def check_login():
    user = find_user(request.form["email"], request.form["password"])
    if user is None:
        flash(_("E-mail address or password is wrong."))
        return redirect(url_for(".login"))
    login_user(user, remember="remember" in request.form)
    return redirect(url_for(".settings"))


@accounts.post("/logout")
def logout():
    logout_user()
    flash(_("You have signed out."))
    return redirect(url_for(".login"))


@accounts.get("/settings")
@login_required
def settings():
    return render_template("settings.html")


@accounts.post("/settings")
@login_required
def save_settings():
    current_user.language = request.form["language"] or None
    db.session.commit()
    return redirect(url_for(".settings"))


@accounts.route("/link-wallet", methods=["GET", "POST"])
@signed_in
def link_wallet():
    """Link the wallet that is signed in to the user whose password comes with the form."""
    if current_user.is_authenticated:  # as the user of this wallet
        return redirect(url_for(".settings"))
    if request.method == "POST":
        user = find_user(request.form["email"], request.form["password"])
        if user is None:
            flash(_("E-mail address or password is wrong."))
        elif set_account(user, str(current_account)):
            return redirect(url_for(".settings"))
        else:
            flash(_("This wallet belongs to another user."))
    return render_template("link_wallet.html", account=current_account)


@accounts.post("/unlink-wallet")
@login_required
def unlink_wallet():
    set_account(current_user, None)
    return redirect(url_for(".settings"))


def set_account(user, account):
    """Give a user another wallet, or none; return whether it was still free. Sessions of the former wallet end."""
    former, user.account = user.account, account
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        return False
    if former is not None:
        current_app.extensions["sessions_core"].lifecycle.revoke_account(former)
    return True
