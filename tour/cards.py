"""Seven things an application does with a session, each in the few lines that you would write.

The tour shows these lines beside the pages that they make (`source.py` reads this file). Nothing here knows the rest
of the tour: copy what you need.
"""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from msgspec import Struct

from sessions_core import Action, current_account, fresh_required, operation, public, requires, signed_in
from sessions_core.errors import NotFound

cards = Blueprint("tour", __name__)


class Invoice(Struct):
    """An invoice, as your own tables would keep it."""

    number: int
    amount: int
    payee: str


INVOICES = {7: Invoice(7, 120, "Fern and Moss Studio")}


def invoice_facts(values: Mapping[str, str]) -> dict[str, str]:
    bill = INVOICES.get(int(values["number"] or 0)) or abort(404)
    return {"amount": str(bill.amount), "payee": bill.payee}


ACTIONS = {"invoice.pay": Action("Pay invoice {number}: {amount} USDC.", facts=invoice_facts)}
ROLES = {"editor": None}


@cards.get("/tour/members")
@signed_in
def members() -> str:
    return render_template("tour/members.html", me=current_account)


@cards.get("/tour/invoices/<int:number>")
@signed_in
def invoice(number: int) -> str:
    bill = INVOICES.get(number) or abort(404)
    paid = number in session.get("paid", [])
    return render_template("tour/invoice.html", bill=bill, paid=paid)


@cards.post("/tour/invoices/<int:number>/pay")
@fresh_required(0, "invoice.pay")
def pay(number: int) -> ResponseReturnValue:
    session["paid"] = sorted({*session.get("paid", []), number})
    return redirect(url_for("tour.invoice", number=number), 303)


@cards.get("/tour/editors")
@requires(role="editor")
def editors() -> str:
    return render_template("tour/editors.html")


@cards.get("/tour/testnet")
@requires("test-only")
def testnet() -> str:
    return render_template("tour/testnet.html")


@cards.get("/tour/live")
@signed_in
def live() -> str:
    return render_template("tour/live.html")


@cards.get("/api/tour/invoices/<int:number>")
@signed_in(accept_presented_token=True)
@operation(NotFound)
def invoice_json(number: int) -> Invoice:
    """Return an invoice of the tour."""
    if number not in INVOICES:
        raise NotFound
    return INVOICES[number]


@cards.get("/tour/note")
@public
def note() -> str:
    return render_template("tour/note.html", note=session.get("note"))


@cards.post("/tour/note")
@public
def keep_note() -> ResponseReturnValue:
    session["note"] = request.form["note"][:200]
    return redirect(url_for("tour.note"), 303)
