from flask import abort, redirect, request, url_for
from flask_admin import Admin, AdminIndexView
from flask_admin.contrib.sqla import ModelView
from flask_admin.form import BaseForm
from flask_login import current_user
from flask_wtf import FlaskForm

from .models import User, db

# Flask-Admin styles its pages inline, and jQuery writes HTML from text.
OFFICE_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)


class AdminsOnly:
    def is_accessible(self):
        return current_user.is_authenticated and current_user.is_admin

    def inaccessible_callback(self, name, **_):
        return abort(403) if current_user.is_authenticated else redirect(url_for("accounts.login"))


class OfficeHome(AdminsOnly, AdminIndexView):
    pass


class Form(FlaskForm, BaseForm):
    """With the CSRF token of Flask-WTF."""


class Users(AdminsOnly, ModelView):
    form_base_class = Form
    can_create = can_delete = False
    column_exclude_list = ["password_hash"]
    form_columns = ["email", "is_admin", "language"]


def add_office(app):
    office = Admin(app, name="Bookshop", index_view=OfficeHome())
    office.add_view(Users(User, db, endpoint="users"))

    @app.after_request
    def allow_office_scripts(response):
        if request.blueprint in ("admin", "users"):
            response.headers["Content-Security-Policy"] = OFFICE_POLICY
        return response
