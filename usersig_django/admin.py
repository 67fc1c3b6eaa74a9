"""Applications, their keys and what was issued, in the stock admin (DESIGN 7). No page ever shows a key."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from usersig_django.admin_forms import SigningKeyForm
from usersig_django.admin_reports import hide_in_reports
from usersig_django.admin_rotation import RotatingAdmin
from usersig_django.admin_tool import SENSITIVE_PARAMETER, tool_view
from usersig_django.applications import State, get_environments, get_state
from usersig_django.models import Application, IssuedRecord, SigningKey

STATE_HELP = {
    State.READY: _("UserSigs are signed with the active key."),
    State.NO_KEY: _("Add a key and activate it: until then nothing is issued, and the API answers 503."),
    State.UNREADABLE_KEY: _(
        'The active key does not open with USERSIG["ENCRYPTION_KEYS"], or is no key: nothing is issued, and the API '
        "answers 503. Bring the encryption key back, or add the key again and activate it."
    ),
    State.DISABLED: _("Nothing is issued, and the API answers 503."),
    State.OVERRIDDEN: _('USERSIG["APPLICATIONS"] serves this environment: this record is ignored.'),
}


@admin.register(Application)
class ApplicationAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic when it runs
    list_display = ("environment", "state", "sdkappid", "name", "algorithm", "fingerprint")
    list_select_related = ("active_key",)
    search_fields = ("environment", "name", "sdkappid")
    readonly_fields = ("state",)

    class Media:
        css = {"all": ["usersig_django/admin.css"]}

    @admin.display(description=_("algorithm"))
    def algorithm(self, application: Application) -> str | None:
        return application.active_key.algorithm if application.active_key else None

    @admin.display(description=_("active key"))
    def fingerprint(self, application: Application) -> str | None:
        return application.active_key.fingerprint if application.active_key else None

    @admin.display(description=pgettext_lazy("application or key", "state"))
    def state(self, application: Application) -> str:
        state = get_state(application)
        return format_html(
            '<span class="usersig-state usersig-{}" title="{}">{}</span>',
            state.name.lower(),
            STATE_HELP[state],
            state.label,
        )

    def get_fields(self, request: HttpRequest, obj: Application | None = None) -> Any:
        fields = ["environment", "sdkappid", "name", "region", "expire", "is_active"]
        return ["state", *fields] if obj else fields

    def get_urls(self) -> list[URLPattern]:
        tool = self.admin_site.admin_view(lambda request: tool_view(request, self))
        tool = hide_in_reports(SENSITIVE_PARAMETER, tool)
        return [path("tool/", tool, name="usersig_django_application_tool"), *super().get_urls()]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return super().has_module_permission(request) or request.user.has_perm("usersig_django.issue_usersig")

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        # Whoever may use the tool alone gets this app's page, which leads there.
        return {**super().get_model_perms(request), "issue": request.user.has_perm("usersig_django.issue_usersig")}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {**(extra_context or {}), **_permissions(request)})

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        return super().changeform_view(
            request, object_id, form_url, {**(extra_context or {}), **_permissions(request)}
        )

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], **kwargs: Any) -> HttpResponse:  # type: ignore[override]  # the rest of it goes through as it comes
        application = kwargs.get("obj")
        if application:
            context["state_help"] = STATE_HELP[get_state(application)]
            context["keys"] = application.keys.all()
        return super().render_change_form(request, context, **kwargs)

    def response_add(
        self, request: HttpRequest, obj: Application, post_url_continue: str | None = None
    ) -> HttpResponse:
        # As with a new user of Django's: the next thing to do, a key, is on the page that comes now.
        if "_addanother" not in request.POST and "_popup" not in request.POST:
            data: Any = request.POST.copy()
            data["_continue"] = "1"
            request.POST = data
        return super().response_add(request, obj, post_url_continue)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[Any, Any], set[Any], list[Any]]:
        deleted, counts, lacking, protected = super().get_deleted_objects(objs, request)
        # A single live key cannot be deleted; with its application it can, by whoever may delete keys.
        if request.user.has_perm("usersig_django.delete_signingkey"):
            lacking.discard(SigningKey._meta.verbose_name)
        return deleted, counts, lacking, protected


@admin.register(SigningKey)
class SigningKeyAdmin(RotatingAdmin):
    form = SigningKeyForm
    list_display = ("__str__", "application", "state", "note", "created_at", "activated_at", "retired_at")
    list_select_related = ("application",)
    list_filter = ("application", "algorithm")

    class Media:
        css = {"all": ["usersig_django/admin.css"]}

    @admin.display(description=pgettext_lazy("application or key", "state"))
    def state(self, key: SigningKey) -> str:
        return format_html(
            '<span class="usersig-state usersig-{}">{}</span>', "ready" if key.is_active else "idle", key.state
        )

    def get_fields(self, request: HttpRequest, obj: SigningKey | None = None) -> Any:
        if obj is None:
            return ["application", "algorithm", "secret", "note"]
        fields = [
            "application",
            "algorithm",
            "fingerprint",
            "state",
            "note",
            "created_at",
            "activated_at",
            "retired_at",
        ]
        # A retired key never signs again, and who may only look can change nothing.
        return fields if obj.retired_at or not self.has_change_permission(request, obj) else [*fields, "secret"]

    def get_readonly_fields(self, request: HttpRequest, obj: SigningKey | None = None) -> list[str]:
        fields = ["fingerprint", "state", "created_at", "activated_at", "retired_at"]
        return [*fields, "application", "algorithm"] if obj else fields

    def get_urls(self) -> list[URLPattern]:
        patterns = super().get_urls()
        for pattern in patterns:
            pattern.callback = hide_in_reports("secret", pattern.callback)
        return patterns

    def has_delete_permission(self, request: HttpRequest, obj: SigningKey | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or obj.is_deletable)

    def response_post_save_add(self, request: HttpRequest, obj: SigningKey) -> HttpResponseRedirect:
        return self.back_to_application(request, obj)

    def response_post_save_change(self, request: HttpRequest, obj: SigningKey) -> HttpResponseRedirect:
        return self.back_to_application(request, obj)


class EnvironmentFilter(admin.SimpleListFilter):
    """The environments there are: the distinct ones of the records would read the whole table."""

    title = _("environment")
    parameter_name = "environment"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in get_environments()]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[IssuedRecord]) -> models.QuerySet[IssuedRecord]:
        return queryset.filter(environment=self.value()) if self.value() else queryset


class UserFilter(admin.SimpleListFilter):
    """Typed, since there are as many as the project has users."""

    title = _("user")
    parameter_name = "user"
    template = "admin/usersig_django/issuedrecord/user_filter.html"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        self.others = {name: value for name, value in request.GET.items() if name not in ("user", "p")}
        # Without a lookup Django would leave the filter out.
        return [("", "")]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[IssuedRecord]) -> models.QuerySet[IssuedRecord]:
        return queryset.filter(user=self.value()) if self.value() else queryset


@admin.register(IssuedRecord)
class IssuedRecordAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic when it runs
    list_display = ("issued_at", "kind", "userid", "environment", "room", "user", "channel", "address", "expire")
    list_filter = ("issued_at", EnvironmentFilter, UserFilter, "channel", "kind")
    search_fields = ("userid__exact", "user__exact", "room__exact")
    search_help_text = _("Exactly a UserID, a user's primary key, or a room.")
    # One count of a long table is enough.
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    class Media:
        css = {"all": ["usersig_django/admin.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: IssuedRecord | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: IssuedRecord | None = None) -> bool:
        return False


def _permissions(request: HttpRequest) -> dict[str, bool]:
    return {
        "may_issue": request.user.has_perm("usersig_django.issue_usersig"),
        "may_see_keys": request.user.has_perm("usersig_django.view_signingkey")
        or request.user.has_perm("usersig_django.change_signingkey"),
        "may_add_keys": request.user.has_perm("usersig_django.add_signingkey"),
        "may_rotate": request.user.has_perm("usersig_django.change_signingkey"),
    }
