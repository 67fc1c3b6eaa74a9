"""The page of the example: a UserSig at the press of a button, Tencent's own Chat SDK, and a room."""

from django.contrib.auth.decorators import login_required
from django.contrib.staticfiles import finders
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from example_project.models import Room

SDK = "vendor/node_modules/@tencentcloud/lite-chat/basic.es.js"
SDK_INSTALL = "npm install --prefix example_project/static/vendor"

# The Chat SDK chooses among some thirty hosts of Tencent's by region and reachability, and may keep its
# socket in a worker that it makes from a blob.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; worker-src blob:; "
    "connect-src 'self' https: wss:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@require_safe
@never_cache
@login_required
def home(request: HttpRequest) -> HttpResponse:
    user = request.user
    rooms = Room.objects.filter(Q(owner=user.pk) | Q(members=user.pk)).distinct().order_by("name")
    response = render(
        request,
        "example_project/home.html",
        {"rooms": rooms, "sdk": SDK if finders.find(SDK) else None, "sdk_install": SDK_INSTALL},
    )
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return response


urlpatterns = [path("", home, name="home")]
