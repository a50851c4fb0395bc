"""The account of a public key, which browsers can't compute."""

from __future__ import annotations

from typing import Annotated

import msgspec
from flask import Blueprint
from msgspec import Meta

from ...errors import ChainUnsupported
from ...web.guards import public
from ...web.operation import operation
from ...web.schemas import AccountId
from ...web.services import current_services
from .errors import KeyMalformed
from .verifier import account_of_key

api = Blueprint("sessions_internet_computer_json", __name__, url_prefix="/api/auth")


class AccountRequest(msgspec.Struct):
    """A chain (CAIP-2), and a public key in the encoding of that chain."""

    chain: Annotated[str, Meta(examples=["icp:737ba355e855bd4b61279056603e0550"])]
    public_key: str


class AccountFound(msgspec.Struct):
    """The account of a public key."""

    account: AccountId


@api.post("/accounts")
@public(keeps_alive=False, csrf=False)
@operation(ChainUnsupported, KeyMalformed)
def find_account(body: AccountRequest) -> AccountFound:
    """Return the account of a public key, for browsers that can't compute it. It is no secret."""
    if body.chain not in current_services().settings.chains:
        raise ChainUnsupported(body.chain)
    return AccountFound(str(account_of_key(body.chain, body.public_key)))
