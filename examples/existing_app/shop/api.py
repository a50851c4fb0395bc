from flask import Blueprint, request
from flask_login import current_user, login_required

api = Blueprint("api", __name__, url_prefix="/api")

BOOKS = {"1": "Effi Briest", "2": "Der Stechlin"}


@api.get("/books")
def books():
    """Pages of our partners read this, too."""
    return BOOKS


@api.post("/orders")
@login_required
def order():
    """Take an order of a script on our own pages, which sends the header X-CSRFToken."""
    return {"book": BOOKS[request.json["book"]], "for": current_user.email}, 201
