"""Why the signature of a contract wallet is refused, or can't be checked."""

from __future__ import annotations

from ...errors import SignInRefused, VerificationUnavailable, _


class ContractWalletUnsupported(SignInRefused):
    """A signature that no key can have made, and its network has no RPC URL."""

    code = "contract_wallet_unsupported"
    panel_state = "contract_wallet"
    message = _(
        "That looks like the signature of a smart-contract wallet, which we can't check on that network. "
        "Switch the network in your wallet, or use an account with a key of its own."
    )


class ContractWalletMissing(SignInRefused):
    """A signature that no key can have made, and no contract at the account on its network."""

    code = "contract_wallet_missing"
    panel_state = "contract_missing"
    message = _(
        "That looks like the signature of a smart-contract wallet, but at that address there is none on that "
        "network. Switch to the network that your wallet is set up on."
    )


class ContractWalletRefused(SignInRefused):
    """The account is a contract, and it does not accept the signature."""

    code = "contract_wallet_refused"
    panel_state = "contract_refused"
    message = _(
        "The account is a smart contract, and it does not accept that signature. Check that enough of its owners "
        "have signed, and which account is active in your wallet."
    )


class ContractWalletSilent(SignInRefused):
    """The account is a contract that returns nothing when it is asked: most often it has no `isValidSignature`
    (ERC-1271), as a Safe without a fallback handler.
    """

    code = "contract_wallet_silent"
    panel_state = "contract_silent"
    message = _(
        "The account is a smart contract that gives no answer about signatures (ERC-1271). A Safe needs its fallback "
        "handler for that. Set it up, or use another account."
    )


class RpcUnavailable(VerificationUnavailable):
    """Only the account's network can tell whether a signature is good, and its node did not answer, or not usably."""

    code = "rpc_unavailable"
    panel_state = "network_unreachable"
    title = _("Your wallet's network is out of reach")
    message = _("Only your wallet's network can check that signature, and we can't reach it. Try again in a moment.")
