"""What a project can listen to."""

from django.dispatch import Signal

usersig_issued = Signal()
"""`(sender, issued, user, channel, request=None)` after a UserSig or PrivateMapKey was issued, and once for a whole
batch. `sender` is the class of `issued` (IssuedUserSig, IssuedPrivateMapKey, IssuedBatch), which comes without the
token; `user` is who asked, or None for a command."""
