-- Put right what is wrong with a record that could be decrypted.
-- KEYS: record, index of the account, epoch of the account
-- ARGV: revision read, digest of the session id, handle, created at, absolute end, idle timeout, epoch seen, and the
--   reason if the global epoch ended it, else ''
-- Returns what was wrong: 'dead' (older than an epoch, past a clock, or back again though its index says that it
-- ended), 'clock' (its key would never have expired), 'lost' (not in the index, so that its user could neither see nor
-- end it).
-- include _shared.lua
local record_key, index_key, epoch_key = KEYS[1], KEYS[2], KEYS[3]
local revision_read, digest, handle, created, ends = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local idle, epoch_seen, reason = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]

local now = now_ms()
local active, revision = head_of(record_key)
-- One that was written since it was read is in use and left alone: "end all others" may just have given it the epoch
-- that it lacks here.
if not active or revision ~= revision_read then return {} end
local entry = redis.call('HGET', index_key, digest)
if reason == '' and epoch_seen < epoch_of(epoch_key) then reason = 'everywhere' end
local its_handle, its_created, its_ends, _, noted = parts_of(entry or '')
local known = its_handle and noted ~= '' and noted
local ttl = redis.call('PTTL', record_key)
local left = tonumber(ends) - now
if ttl == -1 then left = math.min(left, tonumber(active) + idle - now) end
if left <= 0 or reason ~= '' or known then
  redis.call('DEL', record_key)
  if entry and reason ~= '' and not known then close(index_key, digest, entry, reason) end
  return {'dead'}
end
local wrong = {}
if ttl == -1 then
  redis.call('PEXPIRE', record_key, left)
  table.insert(wrong, 'clock')
end
if handle ~= '' and (its_handle ~= handle or its_created ~= tonumber(created) or its_ends ~= tonumber(ends)) then
  allow_when_full(record_key)
  enter(index_key, digest, handle, created, ends, now, ttl > 0 and ttl or left)
  table.insert(wrong, 'lost')
end
return wrong
