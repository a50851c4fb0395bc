"""The tour of the demo: what each card does, what only development has, and what fails with which code."""

from __future__ import annotations

from tests.actors import Visitor, Wallet


def test_tour_pages_render_for_visitors_and_users(visitor: Visitor, wallet: Wallet) -> None:
    for path in ("/", "/tour", "/tour/note", "/read/README.md"):
        assert visitor.get(path).status_code == 200, path
    visitor.sign_in(wallet)
    for path in ("/", "/tour", "/tour/members", "/tour/invoices/7", "/tour/api", "/tour/note", "/tour/log"):
        assert visitor.get(path).status_code == 200, path
