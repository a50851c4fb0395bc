-- Move a session to another id, so that the former id is dead when the new one lives.
-- KEYS: former record, index of the account, new record, epoch of the account
-- ARGV: revision read, epoch seen, former digest, new digest, handle, created at, absolute end, record without its
--   time, idle timeout if both clocks start again, else 0
-- Returns 1 if moved, 0 if it is gone, -1 if it was changed since it was read.
-- The former id's entry in the index gets the time of the change in the place of its idle end.
-- include _shared.lua
local former_key, index_key, record_key, epoch_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local revision_read, epoch_seen, former_digest, digest = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local handle, created, ends, record, idle = ARGV[5], ARGV[6], ARGV[7], ARGV[8], tonumber(ARGV[9])

local now = now_ms()
if redis.call('EXISTS', record_key) == 1 then return 1 end -- sent twice, since the first answer was lost
local active, revision = head_of(former_key)
if not active then return 0 end
if revision ~= revision_read then return -1 end
if epoch_seen < epoch_of(epoch_key) then return 0 end
local left, ttl = tonumber(ends) - now, redis.call('PTTL', former_key)
if idle > 0 then
  active, left = string.format('%013.0f', now), math.min(left, idle)
elseif ttl > 0 then -- it has one, unless somebody took it off
  left = math.min(left, ttl)
end
if left <= 0 then return 0 end
local entry = redis.call('HGET', index_key, former_digest)
redis.call('DEL', former_key) -- first, since a full Redis allows no other first write
redis.call('SET', record_key, active .. record, 'PX', left)
local head = entry and string.match(entry, '^.-|%d+|%d+|')
if head then redis.pcall('HSET', index_key, former_digest, head .. string.format('%.0f', now) .. '|rotated') end
enter(index_key, digest, handle, created, ends, now, left)
if redis.call('HLEN', index_key) > 200 then -- not each time: it costs more than all the rest
  local entries, ended = redis.call('HGETALL', index_key), {}
  for i = 1, #entries, 2 do
    local its_handle, _, its_ends, its_idles, reason = parts_of(entries[i + 1])
    if its_handle and reason ~= '' and (reason ~= 'rotated' or now - (its_idles or 0) > 60000) then
      table.insert(ended, {its_ends, its_idles or 0, entries[i]})
    end
  end
  prune(index_key, ended, now)
end
return 1
