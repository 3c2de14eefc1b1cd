/* Paperfleet: how many tasks wait or run in paperless-ngx 2 without a fleet, as its own list says.
   Not counted: what the scheduler starts by itself; what has run for longer than :longest seconds,
   as its worker has died; what has waited for longer than a day, as its message is lost.
   Not seen: all but documents that are consumed, such as edits of many documents, as the list has
   nothing else. A lost message counts for a day, and a dead worker's task until its time is over. */
SELECT count(*)
FROM documents_paperlesstask
WHERE (
        (status = 'PENDING' AND date_created > now() - interval '1 day')
        OR (
            status = 'STARTED'
            AND COALESCE(date_started, date_created) > now() - interval ':longest seconds'
        )
    )
    AND COALESCE(task_name, '') NOT IN (
        :scheduled
    )
