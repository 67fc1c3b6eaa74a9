from django.http import HttpRequest, JsonResponse
from django.urls import include, path

from usersig_django.issuing import aissue_usersig


async def login(request: HttpRequest) -> JsonResponse:
    """A project's own asynchronous view that hands out a UserSig with whatever else it answers."""
    user = await request.auser()
    if not user.is_authenticated:
        return JsonResponse({}, status=403)
    issued = await aissue_usersig(user)
    return JsonResponse({"userid": issued.userid, "usersig": issued.usersig, "expire": issued.expire})


urlpatterns = [
    path("api/usersig/", include("usersig_django.urls")),
    path("async/", login),
]
