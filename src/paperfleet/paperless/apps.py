"""Where Django loads the app."""

from __future__ import annotations

from django.apps import AppConfig

from paperfleet.errors import ConfigurationError


class PaperfleetConfig(AppConfig):
    """``PAPERLESS_APPS=paperfleet.paperless``."""

    name = "paperfleet.paperless"
    label = "paperfleet"
    verbose_name = "Paperfleet"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Plug the storage in, or end the process with a text that says what is wrong."""
        # Django has no models before this point.
        from celery.signals import (  # noqa: PLC0415
            beat_init,
            task_postrun,
            task_prerun,
            worker_init,
        )
        from django.db.models.signals import (  # noqa: PLC0415
            post_migrate,
            pre_delete,
            pre_migrate,
            pre_save,
        )

        from paperfleet.paperless import activation, checks, role, starts, workers  # noqa: F401, PLC0415
        from paperfleet.paperless.documents import patience, rows  # noqa: PLC0415

        role.hear()
        try:
            activation.activate()
        except ConfigurationError as error:
            raise activation.stop(error) from error
        role.take_up()
        worker_init.connect(workers.check_before_forking)
        beat_init.connect(workers.check_before_beating)
        activation.documents.look_beside = starts.faults
        pre_migrate.connect(rows.before_migrate, sender=self)
        post_migrate.connect(rows.after_migrate, sender=self)
        post_migrate.connect(starts.after_migrate, sender=self)
        for signal in (pre_save, pre_delete):
            signal.connect(activation.before_document_changes, sender="documents.Document")
        if activation.documents.storage is not None:
            from paperfleet.paperless.documents import bulkmoves  # noqa: PLC0415

            task_prerun.connect(patience.tasks.begin)
            task_postrun.connect(patience.tasks.end)
            task_prerun.connect(bulkmoves.before_task)
        found = activation.documents.configuration
        if found is not None and found.settings.fleet:
            from paperfleet.paperless.delivery import setup  # noqa: PLC0415
            from paperfleet.paperless.search import setup as search  # noqa: PLC0415

            try:
                setup.install(found.settings)
                search.install()
            except ConfigurationError as error:
                raise activation.stop(error) from error
