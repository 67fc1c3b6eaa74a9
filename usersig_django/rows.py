"""What the rows of applications and of keys have in common: other processes work with them too."""

from collections.abc import Set
from typing import Any, TypeVar

from django.db import models, router

from usersig_django.signals import usersig_records_changed

_Row_co = TypeVar("_Row_co", bound=models.Model, covariant=True)


class AnnouncedQuerySet(models.QuerySet[_Row_co]):
    """Sends `usersig_records_changed` for what sends no signal of Django's. `bulk_update` is made of updates."""

    def update(self, **kwargs: Any) -> int:
        updated = super().update(**kwargs)
        usersig_records_changed.send(self.model)
        return updated

    def bulk_create(self, *args: Any, **kwargs: Any) -> list[_Row_co]:
        created = super().bulk_create(*args, **kwargs)
        usersig_records_changed.send(self.model)
        return created


def leave_alone(fields: Set[str], row: models.Model, options: dict[str, Any]) -> dict[str, Any]:
    """The options of `save()`, with which a full save of a stored row writes all but these fields: what it loaded
    of them may be old by now, and another act has the say."""
    if row._state.adding or options.get("force_insert") or options.get("update_fields") is not None:
        return options
    alias = options.get("using") or router.db_for_write(type(row), instance=row)
    if not type(row)._base_manager.using(alias).filter(pk=row.pk).exists():
        # A copy, or one whose creation was rolled back.
        return options
    left = fields | row.get_deferred_fields()
    written = [field for field in row._meta.concrete_fields if not field.primary_key]
    return {**options, "update_fields": {field.name for field in written if not {field.name, field.attname} & left}}
