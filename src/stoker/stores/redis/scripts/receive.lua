-- keys: meta arrivals args jobs packs bodies ready due done leases held left cancels results errors notes counts blocks slots windows expiring gates waiting places unheard spent stirred ledger
-- uses: record packs ready moves place
-- Jobs of another store, each with what it brings along. Their receipts have no age.
local known = call('HGET', k_arrivals, ARGV[2])
if known then return known end
local total = tonumber(ARGV[3])
local groups, at = read_groups(tonumber(ARGV[4]), 4)
local first = call('HINCRBY', k_meta, 'numbers', total) - total + 1

local function carry(id, numbers, errors, checkpoint)
  local r = load(id)
  local starts, failures, crashes, snoozes, enqueued = string.match(numbers, '(%d+) (%d+) (%d+) (%d+) (%d+)')
  r.starts, r.failures, r.crashes = tonumber(starts), tonumber(failures), tonumber(crashes)
  r.snoozes, r.enqueued = tonumber(snoozes), tonumber(enqueued)
  if errors ~= '' then
    r.erred = true
    call('HSET', k_errors, id, errors)
  end
  if checkpoint ~= '' then
    r.noted = true
    call('HSET', k_notes, id .. 'c', checkpoint)
  end
  if r.state == SCHEDULED and r.failures + r.crashes > 0 then
    r.state = RETRYABLE
    tally(SCHEDULED, r.fixed.lane, -1)
    tally(RETRYABLE, r.fixed.lane, 1)
    follow_key(id, r)
  end
  save(id, r)
end

local answers = {}
for place = 0, total - 1 do
  local i, brought = at + 3 * place, at + 3 * (total + place)
  local answer = put_job(whole(first + place), groups[tonumber(ARGV[i + 1])], ARGV[i + 2], ARGV[i + 3])
  if sub(answer, 1, 1) ~= '=' then carry(answer, ARGV[brought + 1], ARGV[brought + 2], ARGV[brought + 3]) end
  answers[place + 1] = answer
end
finish()
local answer = table.concat(answers, ' ')
call('HSET', k_arrivals, ARGV[2], answer)
return answer
