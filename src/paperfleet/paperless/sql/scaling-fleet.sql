/* Paperfleet: how many tasks wait or run in a fleet (PAPERFLEET_FLEET=true), whichever the version
   of paperless-ngx. Not counted: what the scheduler starts by itself, what nobody wants any more,
   what waits for another task to end, what has failed.
   Not seen: tasks that have no row, which are in Redis alone. paperless-ngx itself has none. */
SELECT count(*)
FROM paperfleet_work
WHERE (state = 'running' OR (state = 'waiting' AND (expires IS NULL OR expires > now())))
    AND name NOT IN (
        :scheduled
    )
