"""Roles and verifications of accounts, and the administration pages that change them."""
