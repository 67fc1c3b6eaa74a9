"""Activate and retire: a page that says what will happen, and the POST that does it."""

from collections.abc import Callable
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from usersig_django.exceptions import UserSigError
from usersig_django.faults import translated
from usersig_django.models import SigningKey

TITLES: Final = {"activate": gettext_lazy("Activate %(key)s"), "retire": gettext_lazy("Retire %(key)s")}
DONE: Final = {
    "activate": gettext_lazy("%(key)s signs for %(application)s now."),
    "retire": gettext_lazy("%(key)s of %(application)s is retired."),
}
UNCHANGED: Final = {
    "activate": gettext_lazy("%(key)s signed for %(application)s already."),
    "retire": gettext_lazy("%(key)s of %(application)s was retired already."),
}
LOGGED: Final = {"activate": gettext_noop("Activated."), "retire": gettext_noop("Retired.")}


class RotatingAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic when it runs
    """The two views, for who may change keys."""

    def get_urls(self) -> list[URLPattern]:
        return [
            path(f"<path:object_id>/{act}/", self._view(act), name=f"usersig_django_signingkey_{act}")
            for act in TITLES
        ] + super().get_urls()

    def _view(self, act: str) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, object_id: str) -> HttpResponse:
            return self.rotate_view(request, act, object_id)

        return self.admin_site.admin_view(view)

    def rotate_view(self, request: HttpRequest, act: str, object_id: str) -> HttpResponse:
        key = self.get_object(request, unquote(object_id))
        if key is None:
            raise Http404
        if not self.has_change_permission(request, key):
            raise PermissionDenied
        active = str(key.application.active_key_id or "")
        if request.method == "POST":
            # What was confirmed is what the page said of the key that signs.
            if request.POST.get("active_key", active) == active:
                self._rotate(request, act, key)
                return self.back_to_application(request, key)
            self.message_user(request, _("Meanwhile this was changed. Look at it again."), messages.WARNING)
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": TITLES[act] % {"key": key},
            "opts": SigningKey._meta,
            "media": self.media,
            "act": act,
            "key": key,
            "application": key.application,
            "active_key": key.application.active_key,
            "active": active,
            "back": self._application_url(request, key),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/usersig_django/signingkey/rotate.html", context)

    def _rotate(self, request: HttpRequest, act: str, key: SigningKey) -> None:
        try:
            changed = getattr(key, act)(by=str(request.user.pk))
        except (UserSigError, ImproperlyConfigured) as error:
            self.message_user(request, translated(error), messages.ERROR)
            return
        if changed:
            self.log_change(request, key, _(LOGGED[act]))
        message = (DONE if changed else UNCHANGED)[act] % {"application": key.application, "key": key}
        self.message_user(request, message, messages.SUCCESS if changed else messages.INFO)

    def back_to_application(self, request: HttpRequest, key: SigningKey) -> HttpResponseRedirect:
        return HttpResponseRedirect(self._application_url(request, key))

    def _application_url(self, request: HttpRequest, key: SigningKey) -> str:
        """The application's page, which lists its keys; the list of keys for who may not open it."""
        may = request.user.has_perm
        if may("usersig_django.view_application") or may("usersig_django.change_application"):
            name, args = "usersig_django_application_change", [quote(key.application_id)]
        else:
            name, args = "usersig_django_signingkey_changelist", []
        return reverse(f"admin:{name}", args=args, current_app=self.admin_site.name)
