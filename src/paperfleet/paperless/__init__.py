"""The Django app that keeps the documents of paperless-ngx in any storage.

It is loaded with ``PAPERLESS_APPS=paperfleet.paperless``, and replaces nothing unless
``PAPERLESS_DOCUMENT_STORAGE_BACKEND`` is set. This is the only package that knows paperless-ngx.
"""
