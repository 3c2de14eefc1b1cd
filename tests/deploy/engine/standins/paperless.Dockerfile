# In the place of paperless-ngx's image, laid out as that is; without s6, as nothing here starts /init.
FROM debian-root
RUN rm -f /usr/lib/python3*/EXTERNALLY-MANAGED \
 && groupadd --gid 1000 paperless \
 && useradd --uid 1000 --gid paperless --home-dir /usr/src/paperless paperless \
 && for folder in data media consume export; do \
        install --directory --owner paperless --group paperless "/usr/src/paperless/$folder"; \
    done \
 && chmod 1777 /run
# Packages for OCR that are "on a mirror of Debian", and the only ones.
COPY debian /srv/debian
RUN rm -f /etc/apt/sources.list.d/* \
 && echo "deb [trusted=yes] file:/srv/debian ./" > /etc/apt/sources.list
# What paperless-ngx depends on: its packages where they belong, or wheels of a locked list.
ARG PACKAGES_PLACE
COPY packages ${PACKAGES_PLACE}
RUN if [ -e /wheels/requirements.txt ]; then \
        python3 -m pip install --quiet --no-index --find-links /wheels --root-user-action=ignore \
            --no-deps --requirement /wheels/requirements.txt; \
    fi
COPY --chown=1000:1000 src /usr/src/paperless/src
# As Docker's image of Python says it, which that of paperless-ngx is made of.
ARG PYTHON_VERSION
ENV PYTHON_VERSION=${PYTHON_VERSION} PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PNGX_CONTAINERIZED=1
WORKDIR /usr/src/paperless/src
VOLUME ["/usr/src/paperless/data", "/usr/src/paperless/media", "/usr/src/paperless/consume", "/usr/src/paperless/export"]
EXPOSE 8000
ENTRYPOINT ["/init"]
