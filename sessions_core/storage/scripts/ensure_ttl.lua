-- Give a key that would never expire a clock: a record that can't be decrypted here goes by its clock.
-- KEYS: key
-- ARGV: milliseconds
-- Returns 1.
if redis.call('PTTL', KEYS[1]) == -1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 1
