from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask_login import current_user, login_required

files = Blueprint("files", __name__)


@files.get("/files")
@login_required
def upload_form():
    return render_template("files.html", size=request.args.get("size", type=int))


@files.post("/files")
@login_required
def upload():
    """Keep one file for each user."""
    folder = current_app.config["UPLOADS"]
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / str(current_user.id)
    request.files["file"].save(place)
    return redirect(url_for(".upload_form", size=place.stat().st_size))
