-- Read a session by its handle, with all that a request reads: a session keeps its handle when it moves to another id.
-- KEYS: index of the account, epoch of the account, the account's other keys; on a single server the global epoch last
-- ARGV: handle, what the keys of the account's records begin with, number of the account's other keys
-- Returns {record, epoch, global epoch, the account's other values …, digest}: the digest is that of the living
-- session, else of the last that had the handle.
local index_key, epoch_key = KEYS[1], KEYS[2]
local handle, session_prefix, others = ARGV[1], ARGV[2], tonumber(ARGV[3])
local global_epoch_key = KEYS[3 + others]

local record, digest = false, ''
local entries = redis.call('HGETALL', index_key)
for i = 1, #entries, 2 do
  if not record and string.match(entries[i + 1], '^(.-)|') == handle then
    record = redis.call('GET', session_prefix .. entries[i])
    if record or string.sub(entries[i + 1], -8) ~= '|rotated' then digest = entries[i] end
  end
end
local found = {record, redis.call('GET', epoch_key), global_epoch_key and redis.call('GET', global_epoch_key) or false}
-- What is of another type is not there, and no error.
local values = others > 0 and redis.call('MGET', unpack(KEYS, 3, 2 + others)) or {}
for i = 1, others do found[3 + i] = values[i] end
found[4 + others] = digest
return found
