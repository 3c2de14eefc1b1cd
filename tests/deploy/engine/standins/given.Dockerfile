# The image that is given (PAPERLESS_IMAGE), with a mirror of Debian that can be reached here.
FROM given
COPY debian /srv/debian
RUN rm -f /etc/apt/sources.list.d/* \
 && echo "deb [trusted=yes] file:/srv/debian ./" > /etc/apt/sources.list
