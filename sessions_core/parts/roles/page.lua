-- Read a range of the accounts that were decided about, and one of the latest sign-ins.
-- KEYS: decided, changed, seen, names
-- ARGV: for each of the two ranges the rank of its first account, and how many accounts it has: 7000 at most, for
--   Lua's stack
-- Returns {now, accounts in the order of decisions, accounts decided about, accounts in the list of sign-ins,
--   the first range, the second range}; a range is a list of encrypted account and time of its last sign-in, in turns.
-- include _shared.lua
local decided_key, changed_key, seen_key, names_key = unpack(KEYS)

local function range(order_key, accounts_key, first, count)
  local found = {}
  if tonumber(count) == 0 then return found end
  local tags = redis.call('ZREVRANGE', order_key, first, first + count - 1)
  if #tags == 0 then return found end
  local accounts = redis.call('HMGET', accounts_key, unpack(tags))
  local seen = redis.call('ZMSCORE', seen_key, unpack(tags))
  for i = 1, #tags do
    found[2 * i - 1] = accounts[i] or ''
    found[2 * i] = seen[i] or '0'
  end
  return found
end

return {
  now_ms(), redis.call('ZCARD', changed_key), redis.call('HLEN', decided_key), redis.call('ZCARD', seen_key),
  range(changed_key, decided_key, ARGV[1], ARGV[2]), range(seen_key, names_key, ARGV[3], ARGV[4]),
}
