--[[
  Records a new job in state queued. All or nothing: half a record would block its id for ever.
  KEYS: 1 record, 2 index, 3 states
  ARGV: 1 time, 2 job as JSON, 3 id, 4 tenant, 5 weight
  Returns 1, or 0 when the id is taken.
]]
if redis.call('HEXISTS', KEYS[1], 'state') == 1 then return 0 end
redis.call('HSET', KEYS[1], 'state', 'queued', 'createdAt', ARGV[1], 'job', ARGV[2], 'tenant', ARGV[4], 'weight', ARGV[5])
place(KEYS[2], KEYS[1], ARGV[1], ARGV[3])
place(KEYS[3], KEYS[1], SCORE['queued'] + ARGV[1], ARGV[3])
return 1
