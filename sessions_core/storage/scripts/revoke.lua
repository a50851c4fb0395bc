-- End one session. Without a digest, or if another request moved the session to another id in the same slot, it is
-- found by its handle: a sign-out ends it all the same.
-- KEYS: record, index of the account
-- ARGV: digest of the session id or '', reason, channel, announcement, handle, what the keys of the account's records
--   begin with
-- Returns {1 if it was alive, 0 if it had ended, -1 if this account never had it; why it could not be announced, or ''}.
-- include _shared.lua
local record_key, index_key = KEYS[1], KEYS[2]
local digest, reason, channel, announcement, handle, session_prefix = unpack(ARGV)

if digest == '' or redis.call('DEL', record_key) == 0 then
  local known = -1
  digest = nil
  local entries = handle ~= '' and redis.call('HGETALL', index_key) or {}
  for i = 1, #entries, 2 do
    if string.match(entries[i + 1], '^(.-)|') == handle then
      known = 0
      if redis.call('DEL', session_prefix .. entries[i]) == 1 then digest = entries[i] end
    end
  end
  if not digest then return {known, ''} end
end
local entry = redis.pcall('HGET', index_key, digest)
if type(entry) == 'string' then close(index_key, digest, entry, reason) end
-- A visitor's session is nobody's business.
return {1, handle ~= '' and announce(channel, announcement) or ''}
