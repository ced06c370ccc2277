--[[
lane: close a lane to counting, open it again, write down that it has a successor, or let it carry other rules.

Key
  KEYS[1]  {generation:lane}  hash  generation; rules; retired: for which generation and in which attempt the lane is
                                    closed to counting (`schemas.counters.closed_for`); successor: JSON of the
                                    `Generation` to which the switch was done; barred: the last attempt that
                                    was taken back

Arguments
  ARGV[1] generation
  ARGV[2] `close`, `open`, `succeed` or `rule`
  ARGV[3] for which generation and in which attempt; to `rule`: the rules that it must carry
  ARGV[4] to `succeed`: JSON of the successor; to `rule`: the rules that it carries then
Answers
  OK         done, or it was so already
  GONE       the lane is not there, or another generation's
  BARRED     the attempt was taken back: who still closes lanes in it has slept too long
  SUCCEEDED  the lane has a successor: it is never opened again
  OTHER      the lane carries other rules than those that it must

A lane is opened by who has seen that the record does not know the attempt as under way. From then on it bars
that attempt, so a call of it that comes late changes nothing.
]]
local call = redis.call
local lane, what, attempt = KEYS[1], ARGV[2], ARGV[3]
local head = call('HMGET', lane, 'generation', 'retired', 'successor', 'barred', 'rules')
local retired, successor, barred = head[2], head[3], head[4]
if head[1] ~= ARGV[1] then return 'GONE' end
if what == 'rule' then
  if head[5] ~= attempt then return 'OTHER' end
  call('HSET', lane, 'rules', ARGV[4])
elseif what == 'close' then
  if barred == attempt then return 'BARRED' end
  call('HSET', lane, 'retired', attempt)
elseif what == 'open' then
  if successor then return 'SUCCEEDED' end
  if retired == attempt then call('HDEL', lane, 'retired') end
  call('HSET', lane, 'barred', attempt)
else
  if retired ~= attempt then return 'BARRED' end
  call('HSET', lane, 'successor', ARGV[4])
end
return 'OK'
