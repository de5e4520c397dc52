--[[
  Makes the sorted sets, those of tenants too, from the records of a release that kept none. Nothing tells since when
  its jobs wait: they wait from now on. Jobs in a state that this release does not know come after all others.
  KEYS: 1 index, 2 states, 3 awaiting, 4 progress, 5 layout
  ARGV: 1 prefix of records, 2 time, 3 layout
]]
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local fields = redis.call('HMGET', ARGV[1] .. id, 'state', 'createdAt', 'finishedAt')
  local base = SCORE[fields[1] or ''] or UNKNOWN_SCORE
  place(KEYS[1], ARGV[1] .. id, tonumber(fields[2] or 0), id)
  place(KEYS[2], ARGV[1] .. id, base + tonumber(fields[3] or fields[2] or 0), id)
  if fields[1] == 'running' then redis.call('ZADD', KEYS[4], 'NX', ARGV[2], id) end
  if fields[1] == 'awaiting-refresh' then redis.call('ZADD', KEYS[3], 'NX', ARGV[2], id) end
end
redis.call('SET', KEYS[5], ARGV[3])
