-- Put accounts into the order of decisions that it lacks: those that were decided about before there was one.
-- KEYS: decided, changed
-- Returns 1.
local decided_key, changed_key = KEYS[1], KEYS[2]

for _, tag in ipairs(redis.call('HKEYS', decided_key)) do
  redis.call('ZADD', changed_key, 'NX', 0, tag)
end
return 1
