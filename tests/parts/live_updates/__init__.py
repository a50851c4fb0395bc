"""Live updates: the WebSocket and what listens to Redis."""
