"""What Redis does in one go: nothing comes in between, and it costs one trip."""

from hashlib import sha1

PUT = """
-- Add asks, unless nobody lives or too many wait; say whether a bell is still to be rung.
-- KEYS: inbox, bell, sign of life. ARGV: limit, how long a bell counts in ms; asks.
if redis.call('EXISTS', KEYS[3]) == 0 then return 0 end
local room = tonumber(ARGV[1]) - redis.call('XLEN', KEYS[1])
local entries = {}
for place = 3, math.min(#ARGV, 2 + room) do
  entries[place - 2] = redis.call('XADD', KEYS[1], '*', 'ask', ARGV[place])
end
local first = #entries > 0 and redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[2])
return {first and 1 or 0, entries}
"""

EXCHANGE = """
-- Post replies, end the asks that they are the last of, and look for what is new.
-- KEYS: inbox, bell, given up, sign of life; mailboxes.
-- ARGV: group, worker, asks to read, last entry given up, whether the bell is silenced,
--   length of a mailbox, its seconds, those of a sign of life; a letter for each mailbox; entries.
if ARGV[5] == '1' then redis.call('DEL', KEYS[2]) end
local letters = #KEYS - 4
for place = 1, letters do
  local mailbox = KEYS[4 + place]
  redis.call('XADD', mailbox, 'MAXLEN', '~', ARGV[6], '*', 'replies', ARGV[8 + place])
  redis.call('EXPIRE', mailbox, ARGV[7])
end
if #ARGV > 8 + letters then
  local ended = {unpack(ARGV, 9 + letters)}
  redis.call('XACK', KEYS[1], ARGV[1], unpack(ended))
  redis.call('XDEL', KEYS[1], unpack(ended))
  redis.call('SET', KEYS[4], ARGV[2], 'EX', ARGV[8])
end
local gone = redis.call('XREAD', 'STREAMS', KEYS[3], ARGV[4])
if ARGV[3] == '0' then return {gone, false} end
local asks = redis.pcall(
  'XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', ARGV[3], 'STREAMS', KEYS[1], '>')
if asks and asks.err then return {gone, asks.err} end
return {gone, asks}
"""

MISSING = """
-- Say which entries are no longer in the inbox. KEYS: inbox. ARGV: entries.
local missing = {}
for _, entry in ipairs(ARGV) do
  if #redis.call('XRANGE', KEYS[1], entry, entry) == 0 then table.insert(missing, entry) end
end
return missing
"""

# What Redis calls those that come often, once it has seen them.
PUT_SHA, EXCHANGE_SHA = (
    sha1(script.encode(), usedforsecurity=False).hexdigest() for script in (PUT, EXCHANGE)
)
