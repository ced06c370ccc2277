--[[
states: what a lane remembers of some messages and recipients, with the checkpoints. Writes nothing.

Keys (LANE is KEYS[1], `{generation:lane}`; `schemas.redis_keys` says what stands in each)
  LANE                     hash    generation; f<partition>: the checkpoints
  LANE:m:HORIZON:DAY       string  "SIZE SIZE ... COUNT": the number of buckets of each layer, and a count
  LANE:m:HORIZON:DAY:LAYER:BUCKET  hash  id -> state

Arguments
  ARGV[1] generation
  ARGV[2...] HORIZON, DAY, id and bucket hash of each message or recipient; bucket hash * SIZE / 2^32 is its
             bucket
Answers: nil where the lane is not there or another generation's, else
  {{f<partition>, number, ...}, {the state of each, or nil}}

Each key is looked at together with the lane, as in `apply.lua`: while a cluster moves the slot, none may be
missing. Commands are those of `snapshot.lua` and `apply.lua`, so that no user needs another right.
]]
local call, floor, format = redis.call, math.floor, string.format
local SPAN = 4294967296
local lane = KEYS[1]
local fields = call('HGETALL', lane)
local checkpoints, generation = {}, nil
for i = 1, #fields, 2 do
  if fields[i] == 'generation' then generation = fields[i + 1] end
  if string.find(fields[i], '^f%d+$') then
    checkpoints[#checkpoints + 1], checkpoints[#checkpoints + 2] = fields[i], fields[i + 1]
  end
end
if generation ~= ARGV[1] then return false end

local sizes = {}   -- of the layers, by the key that says them
local function layers(meta)
  if not sizes[meta] then
    call('EXISTS', lane, meta)
    local found = {}
    for number in string.gmatch(call('GET', meta) or '', '%d+') do found[#found + 1] = tonumber(number) end
    table.remove(found)
    sizes[meta] = found
  end
  return sizes[meta]
end

local states = {}
for i = 2, #ARGV, 4 do
  local meta = format('%s:m:%s:%s', lane, ARGV[i], ARGV[i + 1])
  local id, bucket_hash, state = ARGV[i + 2], tonumber(ARGV[i + 3]), false
  for layer, size in ipairs(layers(meta)) do
    if not state then
      local key = format('%s:%d:%d', meta, layer, floor(bucket_hash * size / SPAN))
      call('EXISTS', lane, key)
      state = call('HMGET', key, id)[1]
    end
  end
  states[#states + 1] = state
end
return {checkpoints, states}
