"""The admin's forms: a key that is written and never shown, and the two halves of the UserSig tool."""

import re
from functools import reduce
from operator import or_
from typing import Any

from django import forms
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django.views.decorators.debug import sensitive_variables

from usersig_django.conf import MAX_EXPIRE, MIN_EXPIRE, conf
from usersig_django.exceptions import InvalidInput
from usersig_django.faults import translated
from usersig_django.models import SigningKey
from usersig_django.sealed import key_ring
from usersig_django.secret import Secret
from usersig_django.signing import Privilege
from usersig_django.signing.private_map_key import check_room
from usersig_django.signing.userid import check_userid

# PROTOCOL 2: the box of one privilege is its bit, two combinations are named.
PRIVILEGES = (
    (Privilege.CREATE_ROOM.value, _("create the room")),
    (Privilege.ENTER_ROOM.value, _("enter the room")),
    (Privilege.SEND_AUDIO.value, _("send audio")),
    (Privilege.RECEIVE_AUDIO.value, _("receive audio")),
    (Privilege.SEND_VIDEO.value, _("send video")),
    (Privilege.RECEIVE_VIDEO.value, _("receive video")),
    (Privilege.SEND_SUBSTREAM.value, _("share the screen")),
    (Privilege.RECEIVE_SUBSTREAM.value, _("see a shared screen")),
)
ROOM_KINDS = (
    ("room_id", pgettext_lazy("kind of room", "number")),
    ("str_room_id", pgettext_lazy("kind of room", "text")),
)


class SecretTextarea(forms.Textarea):
    """An empty box, whatever it was given."""

    def format_value(self, value: object) -> None:
        return None


class SecretField(forms.CharField):
    widget = SecretTextarea(
        attrs={"class": "vLargeTextField usersig-secret", "rows": 6, "autocomplete": "off", "spellcheck": "false"}
    )

    @sensitive_variables()
    def to_python(self, value: Any) -> Any:
        # A browser sends CRLF.
        text = (super().to_python(value) or "").replace("\r\n", "\n")
        return Secret(text) if text else text

    def has_changed(self, initial: object, data: str | None) -> bool:
        return bool(data and data.strip())


class SigningKeyForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    secret = SecretField(
        label=pgettext_lazy("signing key", "Key"),
        help_text=_(
            "HMAC-SHA256: the SecretKey from Tencent Cloud's console. ECDSA-SHA256: the private key in PEM. "
            "It is encrypted, and never shown again."
        ),
    )

    class Meta:
        model = SigningKey
        fields = ["application", "algorithm", "secret", "note"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding and "secret" in self.fields:
            self.fields["secret"].required = False
            self.fields["secret"].help_text = _("Leave it empty to keep the key. It is encrypted, and never shown.")

    def clean_secret(self) -> Any:
        secret = self.cleaned_data["secret"]
        if secret:
            try:
                key_ring()
            except ImproperlyConfigured as error:
                raise ValidationError(translated(error)) from None
        return secret


class GenerateForm(forms.Form):
    """Whom to issue what for. `room` and `privileges` of the cleaned data are what the signer takes."""

    environment = forms.ChoiceField(label=_("Environment"))
    kind = forms.ChoiceField(
        label=_("Kind"),
        choices=[("usersig", _("UserSig: log in")), ("private_map_key", _("PrivateMapKey: enter a room"))],
        initial="usersig",
        widget=forms.RadioSelect,
    )
    userid = forms.CharField(label=_("UserID"), max_length=32, strip=False)
    expire = forms.IntegerField(
        label=_("Validity"),
        required=False,
        min_value=MIN_EXPIRE,
        max_value=MAX_EXPIRE,
        help_text=_("Seconds; empty: as configured."),
    )
    room_kind = forms.ChoiceField(
        label=_("Kind of room"),
        choices=ROOM_KINDS,
        initial="room_id",
        required=False,
        widget=forms.RadioSelect,
        help_text=_("Room 7 and room “7” are two rooms."),
    )
    room = forms.CharField(label=_("Room"), max_length=64, strip=False, required=False)
    privileges = forms.TypedMultipleChoiceField(
        label=_("Privileges"),
        choices=PRIVILEGES,
        coerce=int,
        initial=[bit.value for bit in Privilege.AUDIENCE],
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    confirm_reserved = forms.BooleanField(
        label=_("Issue it nevertheless"),
        required=False,
        help_text=_(
            "This UserID is reserved. An administrator's UserSig is the credential of Tencent's REST API: whoever "
            "holds it can delete accounts and disband groups."
        ),
    )

    def __init__(self, *args: Any, environments: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["environment"].choices = [(name, name) for name in environments]  # type: ignore[attr-defined]  # a ChoiceField

    def clean_userid(self) -> str:
        userid: str = self.cleaned_data["userid"]
        try:
            check_userid(userid, conf.userid_rule)
        except InvalidInput as error:
            raise ValidationError(translated(error)) from None
        return userid

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if cleaned.get("kind") == "private_map_key":
            cleaned["room"] = _read_room(self)
            cleaned["privileges"] = reduce(or_, cleaned.get("privileges", ()), 0)
            if not cleaned["privileges"] and "privileges" not in self.errors:
                self.add_error("privileges", _("Grant at least one."))
        return cleaned


class RevokeForm(forms.Form):
    """Whose tokens are taken back."""

    environment = forms.ChoiceField(label=_("Environment"))
    userid = forms.CharField(label=_("UserID"), max_length=32, strip=False)
    confirm = forms.BooleanField(
        label=_("Take every token back"),
        help_text=_("Tencent logs the user out everywhere. Tokens issued from then on are good again."),
        error_messages={"required": _("Confirm that you want this.")},
    )

    def __init__(self, *args: Any, environments: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["environment"].choices = [(name, name) for name in environments]  # type: ignore[attr-defined]  # a ChoiceField


class VerifyForm(forms.Form):
    """A token to look into, and what it should be for."""

    environment = forms.ChoiceField(label=_("Environment"), help_text=_("Its keys verify the token."))
    token = forms.CharField(
        label=pgettext_lazy("UserSig tool", "Token"),
        widget=forms.Textarea(
            attrs={"class": "vLargeTextField usersig-token", "rows": 5, "autocomplete": "off", "spellcheck": "false"}
        ),
        help_text=_("A UserSig or a PrivateMapKey."),
    )
    userid = forms.CharField(label=_("UserID"), max_length=32, strip=False, required=False, help_text=_("Empty: any."))
    room_kind = forms.ChoiceField(
        label=_("Kind of room"), choices=ROOM_KINDS, initial="room_id", required=False, widget=forms.RadioSelect
    )
    room = forms.CharField(
        label=_("Room"), max_length=64, strip=False, required=False, help_text=_("Of a PrivateMapKey; empty: any.")
    )

    def __init__(self, *args: Any, environments: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["environment"].choices = [(name, name) for name in environments]  # type: ignore[attr-defined]  # a ChoiceField

    def clean(self) -> dict[str, Any]:
        self.cleaned_data["room"] = _read_room(self) if self.cleaned_data.get("room") else None
        return self.cleaned_data


def _read_room(form: forms.Form) -> int | str | None:
    """The room as the signer takes it: an int is a numeric room, a str a string room."""
    text = form.cleaned_data.get("room", "")
    room: int | str = text
    if form.cleaned_data.get("room_kind") != "str_room_id":
        if not re.fullmatch(r"[0-9]{1,10}", text):
            form.add_error("room", _("The number of a room is 1 to 4294967294."))
            return None
        room = int(text)
    try:
        check_room(room)
    except InvalidInput as error:
        form.add_error("room", translated(error))
        return None
    return room
