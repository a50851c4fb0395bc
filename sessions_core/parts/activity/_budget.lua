-- Functions that count what the logs of all accounts hold together, by the day on which they expire: when a day is
-- over, its logs are gone, and so are its numbers. A log counts one more than it has entries, for its key.

local function day_of(time) return math.floor(time / DAY) end

-- What the logs of all accounts hold, and of that what expires as soon as the logs of new accounts do.
local function held_by_all(budget_key, now, keep_new)
  local days, held, held_by_new = redis.call('HGETALL', budget_key), 0, 0
  for i = 1, #days, 2 do
    local day, many = tonumber(days[i]) or 0, tonumber(days[i + 1]) or 0
    if day >= day_of(now) then held = held + many end
    if day >= day_of(now) and day <= day_of(now + keep_new) then held_by_new = held_by_new + many end
  end
  return held, held_by_new
end

-- Count a log that held `before` until `day_before`, and now holds `after` until `day`.
local function count(budget_key, now, day_before, before, day, after)
  local function add(which, many)
    -- Never below nothing: a failover may have lost what is taken off.
    local held = math.max(0, (tonumber(redis.call('HGET', budget_key, which)) or 0) + many)
    return redis.call('HSET', budget_key, which, string.format('%.0f', held)) == 1
  end
  if before > 0 then add(day_before, -before) end
  if add(day, after) then -- a day that was not there: a good moment to drop those that are over
    local days = redis.call('HGETALL', budget_key)
    for i = 1, #days, 2 do
      if (tonumber(days[i]) or 0) < day_of(now) then redis.call('HDEL', budget_key, days[i]) end
    end
  end
  local lasts = (day + 2) * DAY - now
  if redis.call('PTTL', budget_key) < lasts then redis.call('PEXPIRE', budget_key, lasts) end
end
