/* Paperfleet: how many tasks wait or run in paperless-ngx :version without a fleet, as its own list says.
   Not counted: what the scheduler starts by itself; what has run for longer than :longest seconds,
   as its worker has died; what has waited for longer than a day, as its message is lost.
   Not seen: :unseen.
   A lost message counts for a day, and a dead worker's task until its time is over. */
SELECT count(*)
FROM documents_paperlesstask
WHERE (
        (status = ':waiting' AND date_created > now() - interval '1 day')
        OR (
            status = ':running'
            AND COALESCE(date_started, date_created) > now() - interval ':longest seconds'
        )
    )
    AND :name NOT IN (
        :scheduled
    )
