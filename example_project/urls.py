from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView
from rest_framework.authtoken.views import obtain_auth_token

urlpatterns = [
    path("", include("example_project.pages")),
    path("admin/", admin.site.urls),
    path("login/", LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("api/token/", obtain_auth_token, name="token"),
    path("api/usersig/", include("usersig_django.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
]
