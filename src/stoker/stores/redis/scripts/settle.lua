-- keys: meta args jobs packs bodies ready due done leases held left cancels results errors notes counts blocks slots gates waiting places unheard spent stirred ledger
-- uses: record packs ready moves ending
-- Ends attempts.
finish()
return refused
