"""A user's sessions on all devices: list, name, end; and notices of sign-ins elsewhere."""
