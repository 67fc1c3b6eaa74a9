from django.contrib.auth.models import AbstractUser

from example_project.models import Room
from usersig_django.signing import Privilege


def room_policy(user: AbstractUser, room: int | str) -> Privilege:
    """Owners may do everything in their room, its members watch and listen, nobody else enters."""
    found = Room.objects.filter(name=str(room)).first() if isinstance(room, str) else None
    # A database may fold case; Tencent does not.
    if found is None or found.name != room:
        return Privilege(0)
    if found.owner_id == user.pk:
        return Privilege.ALL
    if found.members.filter(pk=user.pk).exists():
        return Privilege.AUDIENCE
    return Privilege(0)
