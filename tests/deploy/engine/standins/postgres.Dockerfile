# In the place of postgres:18: Debian's PostgreSQL, with the user and the folders of that image.
FROM debian-root
RUN usermod --non-unique --uid 999 postgres && groupmod --non-unique --gid 999 postgres \
 && rm -rf /var/lib/postgresql && install --directory --owner postgres --group postgres /var/lib/postgresql \
 && ln -s "$(dirname "$(ls -d /usr/lib/postgresql/*/bin/initdb)")" /usr/local/postgresql
ENV PATH=/usr/local/postgresql:$PATH PGDATA=/var/lib/postgresql/18/docker
COPY postgres-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
VOLUME /var/lib/postgresql
STOPSIGNAL SIGINT
EXPOSE 5432
ENTRYPOINT ["/bin/sh", "/usr/local/bin/docker-entrypoint.sh"]
CMD ["postgres"]
