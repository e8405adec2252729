-- keys: meta calls0 calls1 calls2 args jobs packs bodies ready due done leases held left cancels results errors notes counts blocks slots windows expiring gates waiting places unheard spent stirred ledger
-- uses: receipts record packs ready moves place
-- Jobs of which some are unique or have gates: each in turn, so that a later one sees what the earlier did.
local total = tonumber(ARGV[3])
local groups, at = read_groups(tonumber(ARGV[4]), 4)

-- Jobs that insist on a free key are looked at before anything is written.
local asked = {}
for place = 0, total - 1 do
  local group, key = groups[tonumber(ARGV[at + 3 * place + 1])], ARGV[at + 3 * place + 3]
  if key ~= '' then
    if group.policy == 'raise' then
      local slot = slot_of(key)
      if slot and slot.taken then return {whole(place), slot.holder} end
      if asked[key] then return {whole(place), ''} end
    end
    asked[key] = true
  end
end

if enter then enter() end
local first = call('HINCRBY', k_meta, 'numbers', total) - total + 1
local answers = {}
for place = 0, total - 1 do
  local group, args, key = groups[tonumber(ARGV[at + 3 * place + 1])], ARGV[at + 3 * place + 2], ARGV[at + 3 * place + 3]
  answers[place + 1] = put_job(whole(first + place), group, args, key)
end
for batch, jobs in pairs(added) do note(batch, '-', '', 0, jobs) end
finish()
local answer = table.concat(answers, ' ')
write_receipt(ARGV[2], answer)
return answer
