-- Store a new session. The account's oldest sessions beyond the most that it may have end. What the account keeps of
-- a new session beside others is written in the same step: there is no session that the others have not been told of.
-- KEYS: record, index of the account, and the account's lists that get an entry
-- ARGV: digest of the session id, handle, idle timeout, created at, absolute end, record without its time, most
--   sessions, what the keys of the account's records begin with; then for each list: entry, most entries, seconds kept
-- Returns the handles of the sessions that ended for it, or 0 if the key is taken or the end is past.
-- include _shared.lua
local record_key, index_key = KEYS[1], KEYS[2]
local digest, handle, idle, created, ends = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local record, most, session_prefix = ARGV[6], tonumber(ARGV[7]), ARGV[8]

local now = now_ms()
local left = math.min(idle, tonumber(ends) - now)
if left <= 0 then return 0 end
redis.call('HLEN', index_key) -- an index that can't be used fails here, before anything was written
record = string.format('%013.0f', now) .. record
if not redis.call('SET', record_key, record, 'NX', 'PX', left) then return 0 end
enter(index_key, digest, handle, created, ends, now, left)

local alone = redis.call('HLEN', index_key) == 1 -- not even one that has ended is known
for i = 3, #KEYS do
  local entry, most_entries, seconds = ARGV[3 * i], tonumber(ARGV[3 * i + 1]), ARGV[3 * i + 2]
  local before, list = redis.pcall('GET', KEYS[i]), {entry ~= '' and entry or nil}
  -- Nobody is kept from signing in by what else may be there.
  for each in string.gmatch(type(before) == 'string' and before or '', '[^|]+') do
    if #list < most_entries then table.insert(list, each) end
  end
  if before or not alone then redis.call('SET', KEYS[i], table.concat(list, '|'), 'EX', seconds) end
end

local living, ended, over = {}, {}, {}
local entries = redis.call('HGETALL', index_key)
for i = 1, #entries, 2 do
  local its_handle, its_created, its_ends, its_idles, reason = parts_of(entries[i + 1])
  if reason == '' and redis.call('EXISTS', session_prefix .. entries[i]) == 1 then
    table.insert(living, {its_created, entries[i], entries[i + 1], its_handle})
  elseif reason ~= 'rotated' or now - (its_idles or 0) > 60000 then
    -- What has just moved to another id stays in the index: its browser may still come with the former one.
    table.insert(ended, {its_ends or 0, its_idles or 0, entries[i]})
  end
end
-- The newest is never the one to go, even if a clock was set back.
local function oldest_first(a, b) return a[2] ~= digest and (b[2] == digest or a[1] < b[1]) end
table.sort(living, oldest_first)
for i = 1, #living - most do
  redis.call('DEL', session_prefix .. living[i][2])
  close(index_key, living[i][2], living[i][3], 'limit')
  table.insert(over, living[i][4])
end
prune(index_key, ended, now)
return over
