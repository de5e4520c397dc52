--[[
  Lets a failed job wait again, as if it had not failed. What it has finished stays.
  KEYS: 1 record, 2 states, 3 tasks
  ARGV: 1 id, 2 time
  Returns 1, or 0 when the job has not failed.
]]
if redis.call('HGET', KEYS[1], 'state') ~= 'failed' then return 0 end
redis.call('HSET', KEYS[1], 'state', 'queued', 'retriedAt', ARGV[2])
redis.call('HINCRBY', KEYS[1], 'retries', 1)
redis.call('HDEL', KEYS[1], 'finishedAt', 'error')
redis.call('PERSIST', KEYS[1])
redis.call('PERSIST', KEYS[3])
place(KEYS[2], KEYS[1], SCORE['queued'] + (redis.call('HGET', KEYS[1], 'createdAt') or 0), ARGV[1])
return 1
