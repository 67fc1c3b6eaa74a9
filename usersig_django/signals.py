"""What a project can listen to."""

from django.dispatch import Signal

usersig_issued = Signal()
"""`(sender, issued, user, channel, request=None)` after a UserSig or PrivateMapKey was issued, and once for a whole
batch. `sender` is the class of `issued` (IssuedUserSig, IssuedPrivateMapKey, IssuedBatch), which comes without the
token; `user` is who asked, or None for a command."""

usersig_revocation_failed = Signal()
"""`(sender, userid, environment, error)` after a user was deactivated or deleted and Tencent could not be told.
`sender` is the user model, `userid` None where the resolver failed too. `revoke_usersig` can be run at any time."""

usersig_records_changed = Signal()
"""`(sender)` after applications or keys were changed past the signals of Django's models, as `QuerySet.update` and
`bulk_create` do. `sender` is the model."""
