from importlib import import_module

from django.apps import AppConfig, apps
from django.db.models.signals import post_delete, post_migrate, post_save
from django.utils.translation import gettext_lazy as _


class UsersigDjangoConfig(AppConfig):
    name = "usersig_django"
    verbose_name = _("Tencent Cloud UserSig")
    # Fixed here: a project's own default would make a new migration appear in site-packages.
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from usersig_django import admin_reports, applications, checks, deactivation
        from usersig_django.models import Application, SigningKey
        from usersig_django.signals import usersig_records_changed

        checks.register()
        deactivation.connect()
        admin_reports.connect()
        for model in (Application, SigningKey):
            post_save.connect(applications.invalidate, sender=model, dispatch_uid=f"usersig_{model.__name__}_saved")
            post_delete.connect(applications.invalidate, sender=model, dispatch_uid=f"usersig_{model.__name__}_gone")
        usersig_records_changed.connect(applications.invalidate, dispatch_uid="usersig_records_changed")
        if apps.is_installed("drf_spectacular"):
            import_module("usersig_django.schema")
        # `flush` empties the tables and sends no other signal.
        post_migrate.connect(applications.invalidate, sender=self, dispatch_uid="usersig_migrated")
