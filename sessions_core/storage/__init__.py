"""How Redis is reached, and how what is stored there is encrypted."""
