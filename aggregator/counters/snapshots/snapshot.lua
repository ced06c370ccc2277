--[[
snapshot: what a lane holds of some tenants, with the checkpoints that say which events that is. Writes nothing.

Keys (LANE is KEYS[1], `{generation:lane}`; `schemas.redis_keys` says what stands in each)
  LANE                    hash  generation; rules; f<partition>: the checkpoints; c<partition>: complete-through
  LANE:n                  set   tenants that have counters
  LANE:i:TENANT           zset  known ids and blocks with counters, in the order of bytes
  LANE:c:TENANT:BLOCK     hash  day and family, scope, id -> packed counter, or IS_WIDE
  LANE:w:TENANT:BLOCK     hash  day and family, scope, id -> packed counter of many bytes

Arguments
  ARGV[1] generation
  ARGV[2] how many packed counters to read at most, or nothing: all. Redis serves nobody else meanwhile.
  ARGV[3] the first BLOCK to read of the first tenant, or nothing
  ARGV[4] the last BLOCK to read of the last tenant, or nothing
  ARGV[5...] each TENANT, in the order to read; none: then the tenants are listed instead
Answers: nil where the lane is not there or another generation's, else
  {checkpoints, tenants} or {checkpoints, {{{{BLOCK, {field, packed counter, ...}}, ...}, known ids}, ...}, stopped}
  with checkpoints = {f<partition> or c<partition>, number, ..., 'rules', the rules that the lane carries}
  and stopped = the block of the last tenant given at which to go on, or false where all was read
  That may be the first one, and nothing was read: a block of more than ARGV[2] is not begun.
  The known ids (SCOPE id each) come with a tenant's last block, which `stopped` and ARGV[4] leave out.

All keys are looked at together, as in `apply.lua`: while a cluster moves the slot, none may be missing.
]]
local call, huge = redis.call, math.huge
local FIRST_BLOCK, IS_WIDE = -2147483648, string.char(254)
local lane = KEYS[1]
local left, first, last = tonumber(ARGV[2]) or huge, tonumber(ARGV[3]) or -huge, tonumber(ARGV[4]) or huge
local fields = call('HGETALL', lane)
local checkpoints, generation, rules = {}, nil, ''
for i = 1, #fields, 2 do
  if fields[i] == 'generation' then generation = fields[i + 1] end
  if fields[i] == 'rules' then rules = fields[i + 1] end
  if string.find(fields[i], '^[fc]%d+$') then
    checkpoints[#checkpoints + 1] = fields[i]
    checkpoints[#checkpoints + 1] = fields[i + 1]
  end
end
if generation ~= ARGV[1] then return false end
checkpoints[#checkpoints + 1] = 'rules'
checkpoints[#checkpoints + 1] = rules
if #ARGV == 4 then
  call('EXISTS', lane, lane .. ':n')
  return {checkpoints, call('SMEMBERS', lane .. ':n')}
end

-- The blocks with counters, in order.
local function blocks(known, from, upto)
  local found = {}
  for _, member in ipairs(call('ZRANGEBYLEX', known, '[\0', '(\1')) do
    local a, b, c, d = string.byte(member, 2, 5)
    local block = ((a * 256 + b) * 256 + c) * 256 + d + FIRST_BLOCK
    if from <= block and block <= upto then found[#found + 1] = block end
  end
  return found
end

local function counters_key(tenant, block)
  return string.format('%s:c:%s:%d', lane, tenant, block)
end

-- Whether a block is more than may still be read.
local function is_too_much(tenant, block)
  if left == huge then return false end
  local key = counters_key(tenant, block)
  call('EXISTS', lane, key)
  return left <= 0 or call('HLEN', key) > left
end

-- The packed counters of a block, wide ones among them.
local function counters(tenant, block)
  local key = counters_key(tenant, block)
  local wide_key = string.format('%s:w:%s:%d', lane, tenant, block)
  call('EXISTS', lane, key)
  local packed_counters, wide = call('HGETALL', key), nil
  for i = 2, #packed_counters, 2 do
    if packed_counters[i] == IS_WIDE then
      if not wide then
        call('EXISTS', lane, wide_key)
        wide = {}
        local found = call('HGETALL', wide_key)
        for at = 1, #found, 2 do wide[found[at]] = found[at + 1] end
      end
      packed_counters[i] = wide[packed_counters[i - 1]] or ''
    end
  end
  return packed_counters
end

local held = {}
for i = 5, #ARGV do
  local tenant = ARGV[i]
  local known = lane .. ':i:' .. tenant
  call('EXISTS', lane, known)
  local upto, found = i == #ARGV and last or huge, {}
  for n, block in ipairs(blocks(known, i == 5 and first or -huge, upto)) do
    if is_too_much(tenant, block) then
      held[#held + 1] = {found, {}}
      return {checkpoints, held, block}
    end
    local packed_counters = counters(tenant, block)
    found[n] = {block, packed_counters}
    left = left - #packed_counters / 2
  end
  held[#held + 1] = {found, upto == huge and call('ZRANGEBYLEX', known, '[\1', '+') or {}}
  left = left - 1
end
return {checkpoints, held, false}
