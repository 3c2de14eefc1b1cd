-- NULL when the lock is had, else who has it.
SELECT CASE
    WHEN pg_try_advisory_lock(%(key)s) THEN NULL
    ELSE coalesce(
        (SELECT owner FROM paperfleet_lease WHERE name = %(name)s),
        'somebody who has just taken it'
    )
END
