--[[
  Counts a finished task once, however often it ran, into sums and extremes: the record of a long job stays small. A job
  that has succeeded or was cancelled has no marks any more, and counts no task.
  KEYS: 1 tasks, 2 record, 3 progress
  ARGV: 1 task, 2 whether it counts for the job's progress ('1' or '0'), 3 pair of classes or '', 4 id, 5 time,
        6 seconds of a thread, 7 prefix of what tenants have computed today,
        then operator (sum, min or max), field and value of each fact
  Returns 1, or 0 when the task was counted before or counts no more.
]]
local state = redis.call('HGET', KEYS[2], 'state')
if state == 'succeeded' or state == 'cancelled' then return 0 end
if redis.call('HSETNX', KEYS[1], 't:' .. ARGV[1], '1') == 0 then return 0 end
if ARGV[2] == '1' then
  redis.call('HINCRBY', KEYS[2], 'tasksDone', 1)
  redis.call('HSET', KEYS[2], 'lastPair', ARGV[3])
end
redis.call('ZADD', KEYS[3], 'XX', ARGV[5], ARGV[4])
local computed = ARGV[7] .. (redis.call('HGET', KEYS[2], 'tenant') or DEFAULT_TENANT)
redis.call('INCRBYFLOAT', computed, ARGV[6])
redis.call('EXPIRE', computed, 40 * 86400)
for i = 8, #ARGV, 3 do
  local field, value = ARGV[i + 1], tonumber(ARGV[i + 2])
  if ARGV[i] == 'sum' then
    redis.call('HINCRBYFLOAT', KEYS[1], field, ARGV[i + 2])
  else
    local extreme = tonumber(redis.call('HGET', KEYS[1], field))
    if not extreme or (ARGV[i] == 'min' and value < extreme) or (ARGV[i] == 'max' and value > extreme) then
      redis.call('HSET', KEYS[1], field, ARGV[i + 2])
    end
  end
end
return 1
