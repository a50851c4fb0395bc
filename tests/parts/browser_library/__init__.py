"""The browser library, without a browser."""
