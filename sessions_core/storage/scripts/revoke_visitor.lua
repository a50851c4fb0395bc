-- End a visitor's session, unless it was written to since it was read.
-- KEYS: record
-- ARGV: revision read
-- Returns 1 if it ended, 0 if it is gone, -1 if it was written to since it was read.
-- include _shared.lua
local record_key = KEYS[1]
local revision_read = ARGV[1]

local _, revision = head_of(record_key)
if not revision then return 0 end
if revision ~= revision_read then return -1 end
redis.call('DEL', record_key)
return 1
