# In the place of valkey/valkey:9-alpine: Debian's Redis, with the names and the user of that image.
FROM debian-root
RUN groupadd --gid 1000 valkey && useradd --uid 999 --gid valkey valkey \
 && ln -s /usr/bin/redis-server /usr/local/bin/valkey-server \
 && ln -s /usr/bin/redis-cli /usr/local/bin/valkey-cli \
 && install --directory --owner valkey --group valkey /data
VOLUME /data
WORKDIR /data
EXPOSE 6379
# A client from another container is let in without a password, as in that image.
ENTRYPOINT ["/bin/sh", "-ec", "exec \"$@\" --protected-mode no", "--"]
CMD ["valkey-server"]
