-- Read Redis's clock. A script, so that a Cluster knows whom to ask.
-- KEYS: any
-- Returns now in milliseconds.
-- include _shared.lua
return now_ms()
