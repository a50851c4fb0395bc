"""All that knows HTTP: guards, pages, JSON, headers, where requests come from, and how failures look."""
