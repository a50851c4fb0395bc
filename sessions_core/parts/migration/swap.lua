-- Replace a value, with the time that it lives, if it is as expected. Empty is "not there", before and after.
-- KEYS: value
-- ARGV: expected, new, milliseconds
-- Returns 1 if it was replaced, else 0.
local key, expected, new, lives = KEYS[1], ARGV[1], ARGV[2], ARGV[3]

if (redis.call('GET', key) or '') ~= expected then return 0 end
if new == '' then
  redis.call('DEL', key)
else
  redis.call('SET', key, new, 'PX', lives)
end
return 1
