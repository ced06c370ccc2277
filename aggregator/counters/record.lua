--[[
record: change the record of the generations, if it is what the caller read and the lease is as he says.

Keys (one hash slot)
  KEYS[1]  {ses-metrics}:generations  string  JSON of `schemas.counters.Record`
  KEYS[2]  {ses-metrics}:lease        string  token of the rebuild that runs; expires

Arguments
  ARGV[1] the record as the caller read it, byte for byte; nothing where there was none
  ARGV[2] the record to put in its place
  ARGV[3] the token that must hold the lease (a rebuild acts), or nothing
  ARGV[4] a token that must not hold it any more (somebody takes back what a rebuild left half way), or nothing
Answers
  OK       done
  LEASE    the lease is not as the caller says
  CHANGED  somebody else has changed the record
]]
local lease = redis.call('GET', KEYS[2])
if ARGV[3] ~= '' and lease ~= ARGV[3] then return 'LEASE' end
if ARGV[4] ~= '' and lease == ARGV[4] then return 'LEASE' end
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 'CHANGED' end
redis.call('SET', KEYS[1], ARGV[2])
return 'OK'
