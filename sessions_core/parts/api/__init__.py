"""The JSON service for programs without cookies: session tokens, refresh tokens, OpenAPI."""
