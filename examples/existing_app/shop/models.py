import click
from flask.cli import with_appcontext
from flask_login import UserMixin
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from werkzeug.security import check_password_hash, generate_password_hash


class Model(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Model)


class User(UserMixin, db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    is_admin: Mapped[bool] = mapped_column(default=False)
    language: Mapped[str | None]
    account: Mapped[str | None] = mapped_column(unique=True)  # of the wallet: CAIP-10


def add_user(email, password, *, is_admin=False):
    user = User(email=email, password_hash=generate_password_hash(password), is_admin=is_admin)
    db.session.add(user)
    db.session.commit()
    return user


def find_user(email, password):
    """Return the user with this e-mail address and this password, or `None`."""
    user = db.session.scalar(db.select(User).filter_by(email=email))
    return user if user is not None and check_password_hash(user.password_hash, password) else None


@click.command("create-user")
@click.argument("email")
@click.password_option()
@click.option("--admin", is_flag=True)
@with_appcontext
def create_user(email, password, admin):
    """Add a user with a password."""
    add_user(email, password, is_admin=admin)
