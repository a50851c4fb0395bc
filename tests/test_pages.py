"""The pages, end to end: real Redis, real keys, forms as browsers send them."""

from __future__ import annotations

from tests.actors import SESSION_COOKIE, Visitor, Wallet


def test_a_wallet_signs_in_lives_in_a_session_and_signs_out(visitor: Visitor, wallet: Wallet) -> None:
    visitor.sign_in(wallet)
    page = visitor.get("/session")
    assert page.status_code == 200
    assert wallet.address in page.get_data(as_text=True)
    response = visitor.sign_out()
    assert response.status_code == 303
    assert response.headers["Location"] == "/signed-out?reason=signed_out"
    assert visitor.client.get_cookie(SESSION_COOKIE) is None
    assert not visitor.signed_in
