-- Put an entry at the head of a log of an account, in the room that the logs of all accounts share.
-- KEYS: log, the account's log of what it did (or the same again), and but on a Cluster the budget
-- ARGV: entry, most entries, milliseconds that they are kept, the same while the account has not come back, 1 if only
--   an account that did something gets this log, most that the logs of all accounts hold, and for a Cluster what they
--   hold as far as known, and those of new accounts
-- Returns {what the logs of all accounts hold, and those of new accounts; and for a Cluster the day on which the log
--   would have expired, what it held, the day on which it expires, what it holds}, or {} if nothing was written.
-- include _shared.lua
-- include _budget.lua
local log_key, activity_key, budget_key = KEYS[1], KEYS[2], KEYS[3]
local entry, most, keep, keep_new = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local beside, budget, held, held_by_new = ARGV[5] == '1', tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])

local now = now_ms()
local latest = redis.call('LINDEX', log_key, 0) or '' -- a log of another type fails here, before anything was written
if beside and redis.call('EXISTS', activity_key) == 0 then return {} end
local at, number = string.match(latest, '^(%d+)-(%d+)|')
if at and string.sub(latest, #at + #number + 3) == entry then return {} end -- sent twice: the first answer was lost

local size, left = redis.call('LLEN', log_key), redis.call('PTTL', log_key)
local began = string.match(redis.call('LINDEX', activity_key, -1) or '', '^(%d+)-')
-- A wallet costs nothing to make: what it leaves behind is worth a month only once it was used on another day.
local came_back = began and now - began >= DAY
if budget_key then held, held_by_new = held_by_all(budget_key, now, keep_new) end
local before = size > 0 and size + 1 or 0
local more = size + 2 - before
-- New accounts have half of the room, so that a flood of them leaves the others theirs. A log that may not grow drops
-- its own oldest entry: no account can push out what another one did, or keep it from being written down.
local grows = held + more <= budget and (came_back or held_by_new + more <= budget / 2)
if size == 0 and not grows then return {} end

local id = string.format('%.0f-0', now)
-- In order even if the clock was set back, but never behind an entry that an attacker has put in the far future.
if at and tonumber(at) >= now and tonumber(at) < now + DAY and #number < 15 then
  id = string.format('%s-%.0f', at, number + 1)
end
redis.call('LPUSH', log_key, id .. '|' .. entry)
if not grows then redis.call('RPOP', log_key) end
redis.call('LTRIM', log_key, 0, most - 1)
while true do -- it ends at the new entry
  local its = string.match(redis.call('LINDEX', log_key, -1), '^(%d+)-')
  if its and now - its <= keep then break end
  redis.call('RPOP', log_key)
end
local lasts = came_back and keep or math.max(keep_new, left)
redis.call('PEXPIRE', log_key, lasts)
local after = redis.call('LLEN', log_key) + 1
local change = {day_of(now + left), before, day_of(now + lasts), after}
if not budget_key then return {held, held_by_new, unpack(change)} end
count(budget_key, now, unpack(change))
return {held_by_all(budget_key, now, keep_new)}
