# In the place of rclone/rclone:1: the program, and a shell.
FROM debian-root
COPY rclone /usr/local/bin/rclone
WORKDIR /data
ENV XDG_CONFIG_HOME=/config
ENTRYPOINT ["rclone"]
