"""The HTTP layer: guards, pages, JSON, headers, CSRF checks and error handlers."""
