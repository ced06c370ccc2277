--[[
ids: a page of the known ids of a tenant, read in one atomic step from one lane. Writes nothing.

Keys: LANE (KEYS[1]) and LANE:i:TENANT, as in `read.lua`.

Arguments
  ARGV[1] the generation that the caller holds to be live, ARGV[2] TENANT (made safe)
  ARGV[3] SCOPE whose ids are wanted, or nothing
  ARGV[4] the id after which they begin, or nothing, ARGV[5] how many at most
Answers: nil as in `read.lua`, else
  {retired or nil, whether there is a successor (0 or 1), {f<partition> or c<partition>, number, ...}, {id, ...}}
]]
local call = redis.call
local lane, scope = KEYS[1], ARGV[3]
local head = call('HMGET', lane, 'generation', 'retired', 'successor')
if head[1] ~= ARGV[1] then return false end

local partitions = {}
local fields = call('HGETALL', lane)
for at = 1, #fields, 2 do
  if string.find(fields[at], '^[cf]%d+$') then
    partitions[#partitions + 1] = fields[at]
    partitions[#partitions + 1] = fields[at + 1]
  end
end

local ids = {}
if scope ~= '' then
  local known, following = lane .. ':i:' .. ARGV[2], '(' .. string.char(string.byte(scope) + 1)
  call('EXISTS', lane, known)
  ids = call('ZRANGEBYLEX', known, '(' .. scope .. ARGV[4], following, 'LIMIT', 0, ARGV[5])
  for at = 1, #ids do ids[at] = string.sub(ids[at], 2) end
end

return {head[2], head[3] and 1 or 0, partitions, ids}
