"""The field: a view that does nothing, and one as integrations write it today."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from rest_framework import serializers
from rest_framework.parsers import JSONParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class EmptyView(APIView):
    """Authenticates, reads the body, answers `{}`."""

    permission_classes = (IsAuthenticated,)
    parser_classes = (JSONParser,)
    renderer_classes = (JSONRenderer,)

    def post(self, request: Request) -> Response:
        _ = request.data
        return Response({})


class UserSigSerializer(serializers.Serializer[Any]):
    expire = serializers.IntegerField(min_value=60, max_value=86_400, default=86_400)


class HandWrittenView(APIView):
    """The official signer with the key from the settings, a serializer, and two queries: the user again, and whether
    this one may chat."""

    permission_classes = (IsAuthenticated,)
    parser_classes = (JSONParser,)
    renderer_classes = (JSONRenderer,)

    def post(self, request: Request) -> Response:
        from TLSSigAPIv2 import TLSSigAPIv2  # type: ignore[import-untyped]

        serializer = UserSigSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user = User.objects.get(username=request.user.get_username())
        user.groups.filter(name="no-chat").exists()
        application = settings.USERSIG["APPLICATIONS"]["benchmarks"]
        expire = serializer.validated_data["expire"]
        usersig = TLSSigAPIv2(application["SDKAPPID"], application["SECRET_KEY"]).gen_sig(str(user.pk), expire)
        return Response(
            {"sdkappid": application["SDKAPPID"], "userid": str(user.pk), "usersig": usersig, "expire": expire}
        )
