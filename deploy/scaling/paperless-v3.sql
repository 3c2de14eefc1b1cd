/* Paperfleet: how many tasks wait or run in paperless-ngx 3 without a fleet, as its own list says.
   Not counted: what the scheduler starts by itself; what has run for longer than 1860 seconds,
   as its worker has died; what has waited for longer than a day, as its message is lost.
   Not seen: tasks that the list does not have (index_document, webhooks, actions on mails).
   A lost message counts for a day, and a dead worker's task until its time is over. */
SELECT count(*)
FROM documents_paperlesstask
WHERE (
        (status = 'pending' AND date_created > now() - interval '1 day')
        OR (
            status = 'started'
            AND COALESCE(date_started, date_created) > now() - interval '1860 seconds'
        )
    )
    AND task_type NOT IN (
        'check_sanity',
        'check_workflows',
        'empty_trash',
        'index_optimize',
        'llm_index',
        'mail_fetch',
        'sanity_check',
        'train_classifier'
    )
