-- keys: meta jobs packs bodies args ready due done leases held left cancels results errors notes counts blocks slots windows calls0 calls1 calls2 arrivals expiring paused workers leaders entries gates waiting places unheard spent stirred parked lines buckets filled alarms rules overrides override_texts override_notes batches ledger
return call('UNLINK', unpack(KEYS))
