"""A project in one file, whose settings and clock a test changes while `tests.load.small_server` serves it."""

import json

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from rest_framework.authentication import BaseAuthentication

from usersig_django.signing import Privilege

SDKAPPID = 1400000003
SECRET_KEY = "fedcba9876543210" * 4


class ByHeader(BaseAuthentication):
    """Knows the user without the database."""

    def authenticate(self, request):
        return (User(pk=int(request.headers["X-User"])), None) if "X-User" in request.headers else None


def resolver(user):
    return User.objects.get(pk=user.pk).username


def room_policy(user, room):
    return Privilege.AUDIENCE if User.objects.filter(pk=user.pk).exists() else Privilege(0)


@csrf_exempt
def control(request: HttpRequest) -> HttpResponse:
    for name, value in json.loads(request.body).items():
        setattr(settings, name, value)
    return HttpResponse(status=204)


urlpatterns = [
    path("api/usersig/", include("usersig_django.urls")),
    path("control/", control),
]
