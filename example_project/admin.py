from django.contrib import admin

from example_project.models import Room


@admin.register(Room)
class RoomAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs alone
    list_display = ("name", "owner")
    filter_horizontal = ("members",)
