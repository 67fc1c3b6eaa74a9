from django.conf import settings
from django.db import models


class Room(models.Model):
    """A TRTC room by its string id: its members may enter it, its owner may do everything."""

    name = models.CharField(max_length=64, unique=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="owned_rooms")
    members = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="rooms", blank=True)

    def __str__(self) -> str:
        return self.name
