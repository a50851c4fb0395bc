-- Read a page of the accounts that were decided about, and one of the latest sign-ins.
-- KEYS: decided, changed, seen, names
-- ARGV: for each of the two pages the ranks of its first and last account
-- Returns {now, accounts in the order of decisions, accounts decided about, accounts in the list of sign-ins,
--   the first page, the second page}; a page is a list of encrypted account and time of its last sign-in, in turns.
-- include _shared.lua
local decided_key, changed_key, seen_key, names_key = unpack(KEYS)

local function page(order_key, accounts_key, first, last)
  local found = {}
  for _, tag in ipairs(redis.call('ZREVRANGE', order_key, first, last)) do
    table.insert(found, redis.call('HGET', accounts_key, tag) or '')
    table.insert(found, redis.call('ZSCORE', seen_key, tag) or '0')
  end
  return found
end

return {
  now_ms(), redis.call('ZCARD', changed_key), redis.call('HLEN', decided_key), redis.call('ZCARD', seen_key),
  page(changed_key, decided_key, ARGV[1], ARGV[2]), page(seen_key, names_key, ARGV[3], ARGV[4]),
}
