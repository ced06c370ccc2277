--[[
apply: count facts in one lane and move its checkpoints, all or nothing.

Long because Redis runs one script as one step: all that must happen together stands here, and a script cannot
use another file.

Keys (LANE is KEYS[1], `{generation:lane}`, so every key below lies in one hash slot)
  LANE                     hash    generation, rules, retired; f<partition>: the checkpoint, every event of the
                                   partition below it is counted in this lane and none at or above;
                                   c<partition>: complete-through in ms
  LANE:n                   set     tenants that have counters
  LANE:d:TENANT            set     days that have counters
  LANE:c:TENANT:DAY        hash    scope -> packed counter (counts of that day)
  LANE:s:TENANT            set     known sequences
  LANE:t:TENANT            set     known templates
  LANE:m:TENANT:DAY        string  layers of the state of messages sent that day: "SIZE SIZE ... COUNT",
                                   the number of buckets of each layer, then the entries in the last
  LANE:m:TENANT:DAY:LAYER:BUCKET   hash  id -> state; this and the line above expire

Arguments
  ARGV[1] generation, ARGV[2] fingerprint of the rules: the lane must carry both, else nothing is done
  ARGV[3] msgpack: {moves, facts}
    moves  = {{partition, prev, end, complete-through or -1}, ...}
    facts  = {kinds, digits, tenants}, all from between `prev` and `end` of the moves; or false: only move
    kinds  = how many kinds there are
    digits = for each key group {{kind, divisor, size}, ...}: a state is a number of mixed radix, a digit for
             each kind of its key group: 0 where the kind is not counted, else the hour it is counted in + 1
    tenant = {TENANT, sequences, templates, days, counts}
    day    = {DAY, bucket hashes, ids, states, key groups, scopes}: a column each, by rising bucket hash; bucket hash * SIZE / 2^32
             is the bucket of an id; states are decimal; scopes = index of the sequence * 65536 + index of the
             template, 0 for none
    counts = {{DAY, scopes, tails}, ...}: what to count if every fact were new

Answers
  {'OK', repeated}            done; `repeated` of the facts were counted before
  {'GONE'}                    the lane is not there, retired, or of other rules
  {'GAP', partition, checkpoint}   the checkpoint is below `prev`: this Redis went back in time
  {'FOLD', partition, checkpoint}  the checkpoint is above `prev`: facts below it must be left out

Why so: a script that fails half way is not rolled back, so it reads and computes everything first and
writes last. The caller counts each call as if all facts were new; only facts whose message is known
already are corrected here: the least hour stays, the later one is taken back. That is what makes
applying commute and repeat harmlessly.
]]
local call, floor, format = redis.call, math.floor, string.format
local byte, char, sub, concat = string.byte, string.char, string.sub, table.concat
local lane = KEYS[1]
local input = cmsgpack.unpack(ARGV[3])
local moves, facts = input[1], input[2]

local SLICE = 3000           -- arguments of one command: Lua's stack takes fewer than 8000
local FILL = 200             -- entries of a bucket on average; a hash stays compact up to 512
local FIRST, GROWTH = 8, 4   -- buckets of the first layer of an unknown tenant; of the next layer to the last
local SPAN = 4294967296      -- of a bucket hash
local KEPT = 79 * 86400      -- from the start of the send day: 78 days after any send in it
local GRACE = 14 * 86400     -- state goes this long after KEPT or, where that is later, its last write
local MANY, SEVERAL, MINUS = 253, 254, 255

-- A reading command with the arguments first..last of a list; nil answers are false.
local function ask(command, key, list, first, last)
  if last - first < SLICE then return call(command, key, unpack(list, first, last)) end
  local all, n = {}, 0
  for from = first, last, SLICE do
    local part = call(command, key, unpack(list, from, math.min(from + SLICE - 1, last)))
    for i = 1, #part do all[n + i] = part[i] end
    n = n + #part
  end
  return all
end

-- What will be written: {command, key, arguments, when the key is to expire or nil}, in order.
local writes = {}
local function write(command, key, list, expires) writes[#writes + 1] = {command, key, list, expires} end

-- 1. Is this the lane that the caller means, and does it stand where the caller thinks?
local fields = {'generation', 'rules', 'retired'}
for i = 1, #moves do
  fields[2 + 2 * i] = format('f%d', moves[i][1])
  fields[3 + 2 * i] = format('c%d', moves[i][1])
end
local head = ask('HMGET', lane, fields, 1, #fields)
if head[1] ~= ARGV[1] or head[2] ~= ARGV[2] or head[3] then return {'GONE'} end
for i = 1, #moves do
  local partition, prev, upto, through = unpack(moves[i])
  local checkpoint = tonumber(head[2 + 2 * i] or '0')
  if checkpoint < prev then return {'GAP', partition, checkpoint} end
  if facts and checkpoint > prev then return {'FOLD', partition, checkpoint} end
  if upto > checkpoint then write('HSET', lane, {fields[2 + 2 * i], format('%d', upto)}) end
  if through > tonumber(head[3 + 2 * i] or '-1') then
    write('HSET', lane, {fields[3 + 2 * i], format('%d', through)})
  end
end

local now = tonumber(call('TIME')[1])
local repeated = 0

-- A state with a newer one in it: each kind at its least hour. What is counted once too often goes to `back`.
local function merge(rows, state, newer, scopes, day, back)
  for r = 1, #rows do
    local kind, divisor, size = rows[r][1], rows[r][2], rows[r][3]
    local digit = floor(newer / divisor) % size
    if digit > 0 then
      local had = floor(state / divisor) % size
      if had == 0 then
        state = state + digit * divisor
      else
        repeated = repeated + 1
        local hour = math.max(had, digit) - 1
        back[#back + 1] = {day + floor(hour / 24), hour % 24, kind, scopes}
        if digit < had then state = state - (had - digit) * divisor end
      end
    end
  end
  return state
end

-- The layers of a send day: buckets of each, and entries in the last.
local function layers(meta)
  local sizes = {}
  for number in string.gmatch(call('GET', meta) or '', '%d+') do sizes[#sizes + 1] = tonumber(number) end
  return sizes, table.remove(sizes) or 0
end

-- 2. The states of one send day: look each id up in every layer, correct what is there, place what is new.
--    Layers never change their size, so an id stays where it is; a day that outgrows its layers gets a bigger
--    one for what comes, and a new day begins with what yesterday, or this day last week, needed.
--    The columns come by rising bucket hash, so the ids of a bucket stand side by side in each layer.
local function remember(tenant, block, digits, back)
  local day, bucket_hashes, ids, states, key_groups, scopes = unpack(block)
  local base = lane .. ':m:' .. tenant .. ':'
  local meta = format('%s%d', base, day)
  local sizes, count = layers(meta)
  local last = day * 86400 + KEPT
  local expires, overdue = format('%d', math.max(now, last) + GRACE), now > last
  local empty = {}   -- buckets in which none of the ids was found

  -- Calls `each` with a bucket's key and the places from..to of its ids, for every bucket of a layer.
  local function by_bucket(layer, each)
    local size, prefix, n, from = sizes[layer], format('%s:%d:', meta, layer), #ids, 1
    while from <= n do
      local bucket = floor(bucket_hashes[from] * size / SPAN)
      local top, to = (bucket + 1) * SPAN, from
      while to < n and bucket_hashes[to + 1] * size < top do to = to + 1 end
      each(format('%s%d', prefix, bucket), from, to)
      from = to + 1
    end
  end

  for layer = 1, #sizes do
    local left, known = {}, 0   -- places of the ids that this layer does not have
    by_bucket(layer, function(key, from, to)
      local had, list = ask('HMGET', key, ids, from, to), {}
      local before = known
      for i = from, to do
        local state = had[i - from + 1]
        if state then
          known = known + 1
          state = tonumber(state)
          local merged = merge(digits[key_groups[i]], state, tonumber(states[i]), scopes[i], day, back)
          if merged ~= state then
            list[#list + 1] = ids[i]
            list[#list + 1] = format('%d', merged)
          end
        else
          left[i - known] = i
        end
      end
      if #list > 0 then write('HSET', key, list, overdue and expires or nil) end
      if known == before then empty[key] = true end
    end)
    if known > 0 then
      local columns = {{}, {}, {}, {}, {}}
      for n, i in ipairs(left) do
        columns[1][n], columns[2][n], columns[3][n] = bucket_hashes[i], ids[i], states[i]
        columns[4][n], columns[5][n] = key_groups[i], scopes[i]
      end
      bucket_hashes, ids, states, key_groups, scopes = unpack(columns)
    end
  end

  local fresh = #ids
  if fresh > 0 then
    if #sizes == 0 then
      local expected = fresh
      for _, ago in ipairs({1, 7}) do
        local before, entries = layers(format('%s%d', base, day - ago))
        for layer = 1, #before - 1 do entries = entries + before[layer] * FILL end
        expected = math.max(expected, entries)
      end
      sizes[1] = math.max(FIRST, math.ceil(expected / FILL))
    elseif count + fresh > sizes[#sizes] * FILL * 1.25 then
      sizes[#sizes + 1] = math.max(sizes[#sizes] * GROWTH, math.ceil(fresh / FILL))
      count, empty = 0, {}
    end
    by_bucket(#sizes, function(key, from, to)
      local list, n = {}, 0
      for i = from, to do
        list[n + 1], list[n + 2] = ids[i], states[i]
        n = n + 2
      end
      write('HSET', key, list, (overdue or empty[key] ~= nil or count == 0) and expires or nil)
    end)
    count = count + fresh
  end
  sizes[#sizes + 1] = count
  write('SET', meta, {concat(sizes, ' '), 'EXAT', expires})
end

-- A packed counter with its tail packed. The format stands in schemas/packed_counter.py, which reads it.
local function pack(packed_counter)
  local counts, cells, at = {}, {}, 3
  while at <= #packed_counter do
    local mark, cell, n = byte(packed_counter, at), byte(packed_counter, at + 1), nil
    if mark == MINUS then
      n, at = -1, at + 2
    elseif mark == SEVERAL then
      n, at = byte(packed_counter, at + 2), at + 3
    elseif mark == MANY then
      local a, b, c, d = byte(packed_counter, at + 2, at + 5)
      n, at = a + 256 * (b + 256 * (c + 256 * d)), at + 6
    else
      cell, n, at = mark, 1, at + 1
    end
    if counts[cell] then
      counts[cell] = counts[cell] + n
    else
      counts[cell] = n
      cells[#cells + 1] = cell
    end
  end
  local items = {}
  for i = 1, #cells do
    local cell = cells[i]
    local n = counts[cell]
    if n < 0 then
      items[i] = string.rep(char(MINUS, cell), -n)
    elseif n <= 3 then
      items[i] = string.rep(char(cell), n)
    elseif n < 256 then
      items[i] = char(SEVERAL, cell, n)
    else
      items[i] = char(MANY, cell, n % 256, floor(n / 256) % 256, floor(n / 65536) % 256, floor(n / 16777216))
    end
  end
  local packed = concat(items)
  return char(#packed % 256, floor(#packed / 256)) .. packed
end

-- 3. The counts of one tenant and day. A scope's first packed counter of a day is when its id may become known.
local function count_day(tenant, day, scopes, tails)
  local key = format('%s:c:%s:%d', lane, tenant, day)
  local packed_counters, list, sequences, templates = ask('HMGET', key, scopes, 1, #scopes), {}, {}, {}
  for i = 1, #scopes do
    local scope, packed_counter = scopes[i], packed_counters[i]
    if packed_counter then
      packed_counter = packed_counter .. tails[i]
      local low, high = byte(packed_counter, 1, 2)
      local packed = low + 256 * high
      if #packed_counter - 2 - packed > packed + 32 then packed_counter = pack(packed_counter) end
    else
      packed_counter = '\0\0' .. tails[i]
      local prefix = sub(scope, 1, 1)
      if prefix == 't' then
        write('SADD', lane .. ':n', {tenant})
        write('SADD', lane .. ':d:' .. tenant, {format('%d', day)})
      else
        local ids = prefix == 's' and sequences or templates
        ids[#ids + 1] = sub(scope, 2)
      end
    end
    list[2 * i - 1], list[2 * i] = scope, packed_counter
  end
  write('HSET', key, list)
  if #sequences > 0 then write('SADD', lane .. ':s:' .. tenant, sequences) end
  if #templates > 0 then write('SADD', lane .. ':t:' .. tenant, templates) end
end

local kinds, digits, tenants = unpack(facts or {0, {}, {}})
for t = 1, #tenants do
  local tenant, sequences, templates, blocks, counts = unpack(tenants[t])
  local back = {}
  for b = 1, #blocks do remember(tenant, blocks[b], digits, back) end

  local days, where, taken = {}, {}, {}   -- day -> {scopes, tails}, day -> scope -> index, day -> index -> counts
  for c = 1, #counts do
    local day, scopes, tails = unpack(counts[c])
    local index = {}
    for i = 1, #scopes do index[scopes[i]] = i end
    days[day], where[day], taken[day] = {scopes, tails}, index, {}
  end
  -- What to take back is added up before it becomes text: a text that grew by one fact at a time would be
  -- copied as often, and a call that repeats n facts would cost n * n.
  for i = 1, #back do
    local day, hour, kind, pair = unpack(back[i])
    if not days[day] then days[day], where[day], taken[day] = {{'t'}, {''}}, {t = 1}, {} end
    local scopes, tails = unpack(days[day])
    local cell = hour * kinds + kind
    local sequence, template = sequences[floor(pair / 65536)], templates[pair % 65536]
    for _, scope in ipairs({'t', sequence and 's' .. sequence or false, template and 'p' .. template or false}) do
      if scope then
        local at = where[day][scope]
        if not at then
          at = #scopes + 1
          scopes[at], tails[at], where[day][scope] = scope, '', at
        end
        local cells = taken[day][at]
        if not cells then
          cells = {}
          taken[day][at] = cells
        end
        cells[cell] = (cells[cell] or 0) + 1
      end
    end
  end
  for day, by_scope in pairs(taken) do
    local tails = days[day][2]
    for at, cells in pairs(by_scope) do
      local parts = {tails[at]}
      for cell, n in pairs(cells) do parts[#parts + 1] = string.rep(char(MINUS, cell), n) end
      tails[at] = concat(parts)
    end
  end
  for day, both in pairs(days) do count_day(tenant, day, both[1], both[2]) end
end

-- 4. From here on nothing but writes.
for i = 1, #writes do
  local command, key, list, expires = unpack(writes[i], 1, 4)
  for from = 1, #list, SLICE do call(command, key, unpack(list, from, math.min(from + SLICE - 1, #list))) end
  if expires then call('EXPIREAT', key, expires) end
end
return {'OK', repeated}
