--[[
  Notes that a tenant has blobs, and counts their bytes unless it had all of them. One write, one wait for the disk.
  KEYS: 1 blobs of the tenant, 2 tenants, 3 bytes by tenant
  ARGV: 1 tenant, 2 bytes of all blobs together, then their digests
  Returns how many it did not have.
]]
redis.call('SADD', KEYS[2], ARGV[1])
local added = redis.call('SADD', KEYS[1], unpack(ARGV, 3))
if added > 0 and tonumber(ARGV[2]) > 0 then redis.call('HINCRBY', KEYS[3], ARGV[1], ARGV[2]) end
return added
