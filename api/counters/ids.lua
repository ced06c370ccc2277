-- The known ids of a tenant, read in one atomic step from one lane. Writes nothing.
--
-- The keys (both in the hash slot of the lane; the second is named from the first):
--   KEYS[1]                hash  the lane: `generation`; for the rest see `read.lua`
--   KEYS[1]:KIND:TENANT    set   the known ids
--
-- ARGV: 1 the generation that the caller holds to be live, 2 TENANT (made safe), 3 KIND: `s` for sequences or
--       `t` for templates.
-- Returns nil where the lane is gone or of another generation, else { `retired` or nil, whether there is a
--       successor (0 or 1), { field of a partition, value, ... }, { id, ... } }.

local lane = KEYS[1]
local head = redis.call('HMGET', lane, 'generation', 'retired', 'successor')
if head[1] ~= ARGV[1] then return false end

local partitions = {}
local fields = redis.call('HGETALL', lane)
for at = 1, #fields, 2 do
  if string.find(fields[at], '^[cf]%d+$') then
    partitions[#partitions + 1] = fields[at]
    partitions[#partitions + 1] = fields[at + 1]
  end
end

return { head[2], head[3] and 1 or 0, partitions, redis.call('SMEMBERS', lane .. ':' .. ARGV[3] .. ':' .. ARGV[2]) }
