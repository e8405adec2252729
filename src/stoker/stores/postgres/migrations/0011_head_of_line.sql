-- With fresh statistics the first job of a waiting line was looked for by walking the jobs by their keys, from the oldest
-- on. Its place in the line is found first.
DO $$ BEGIN
    EXECUTE replace(
        pg_get_functiondef('stoker.admit'::regproc),
        'FROM stoker.waiting JOIN stoker.job ON job.id = waiting.job WHERE waiting.line = line.text LIMIT 1',
        'FROM (
                SELECT waiting.job FROM stoker.waiting WHERE waiting.line = line.text
                ORDER BY waiting.kept, waiting.priority DESC, waiting.pos LIMIT 1
            ) AS foremost JOIN stoker.job ON job.id = foremost.job'
    );
END $$;
