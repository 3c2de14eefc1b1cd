# In the place of python:3.13-slim: Debian's Python and pip, called as there.
FROM debian-root
RUN ln -s /usr/bin/python3 /usr/local/bin/python \
 && rm -f /usr/lib/python3*/EXTERNALLY-MANAGED
CMD ["python3"]
