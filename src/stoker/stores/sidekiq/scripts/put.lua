-- Puts jobs where they belong: due ones at the left end of their list, others into the schedule.
local function put(queue_key, queue, at, payloads)
  if at <= now then
    call('SADD', k_queues, queue)
    in_parts(payloads, function(...) call('LPUSH', queue_key, ...) end)
  else
    local scored, due = {}, score(at)
    for i = 1, #payloads do
      scored[2 * i - 1] = due
      scored[2 * i] = payloads[i]
    end
    in_parts(scored, function(...) call('ZADD', k_schedule, ...) end)
  end
end

-- The times are the server's; ``stamps`` says in which unit. A scheduled job has no time of its push yet.
local function stamped(payload, at, stamps)
  local time = stamps == 'millis' and whole(floor(now / 1000)) or format('%.6f', now / 1000000)
  if at > now then return payload .. ',"created_at":' .. time .. '}' end
  return payload .. ',"created_at":' .. time .. ',"enqueued_at":' .. time .. '}'
end
