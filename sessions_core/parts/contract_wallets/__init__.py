"""Accounts that are smart contracts: ERC-1271 and ERC-6492, asked through JSON-RPC."""
