"""Which module of the browser's code talks to which family of wallets."""

from __future__ import annotations

from collections.abc import Iterable

from flask import current_app, url_for

# By the name of the family, which is the CAIP-2 namespace of its accounts but for trial wallets: part, file.
_MODULES = {
    "eip155": ("ethereum", "eip155.js"),
    "stacks": ("stacks", "stacks.js"),
    "solana": ("solana", "solana.js"),
    "icp": ("internet_computer", "icp.js"),
    "pregenerated": ("trial_wallets", "pregenerated.js"),
}


def wallet_modules(families: Iterable[str]) -> dict[str, str]:
    """Return the URL of the module of each family that the application has; pages load these and no others."""
    found = {name: _MODULES[name] for name in families if name in _MODULES}
    return {
        name: url_for(f"sessions_{part}.static", filename=file)
        for name, (part, file) in found.items()
        if f"sessions_{part}" in current_app.blueprints
    }
