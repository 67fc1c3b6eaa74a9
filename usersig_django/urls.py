from django.urls import path

from usersig_django.views import PrivateMapKeyView, UserSigView

app_name = "usersig_django"

urlpatterns = [
    path("", UserSigView.as_view(), name="usersig"),
    path("private-map-key/", PrivateMapKeyView.as_view(), name="private-map-key"),
]
